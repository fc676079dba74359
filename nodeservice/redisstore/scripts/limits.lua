-- Charges buckets, all or none. A bucket is the time at which it is full again,
-- in microseconds of the callers' clock; one that is not there is full.
--
-- KEYS  the buckets
-- ARGV  now; "take", or "shift" to charge without asking; then for each bucket
--       by how much it may lack of full to be taken from, and what to add to it
--
-- Answers how long to wait until all can be taken (0: done), and for each bucket
-- after how long it is full. Numbers travel as text: Redis would cut fractions.
local now, asking = tonumber(ARGV[1]), ARGV[2] == 'take'
local full, wait = {}, 0
for i, stored in ipairs(redis.call('MGET', unpack(KEYS))) do
  full[i] = math.max(now, tonumber(stored or now))
  if asking then
    wait = math.max(wait, full[i] - now - tonumber(ARGV[2 * i + 1]))
  end
end
if wait < 1 then
  wait = 0
  for i, key in ipairs(KEYS) do
    local shift = tonumber(ARGV[2 * i + 2])
    if shift ~= 0 then
      full[i] = math.max(now, full[i] + shift)
      -- Kept a minute longer than needed: the callers' clocks differ from ours.
      redis.call('SET', key, string.format('%.3f', full[i]), 'PX', math.ceil((full[i] - now) / 1000) + 60000)
    end
  end
end
local answer = { string.format('%.3f', wait) }
for i = 1, #KEYS do
  answer[i + 1] = string.format('%.3f', full[i] - now)
end
return answer
