-- settle.lua gives a reservation back, and notes what the account has in a queue,
-- unless what is noted is newer. KEYS[1] is the account; ARGV[1] the reservation's
-- token or '', ARGV[2] the queue, ARGV[3] the queue's version, ARGV[4] the bytes
-- or '' for no news, ARGV[5] the note as it was before the queue was looked into, or
-- ''. Where that still stands it is the older, though its version be higher: then a
-- failover took back what had come to the queue. Answers {fields}, of which there is
-- one for each queue noted.
local function text(n) return string.format('%.0f', n) end
local function add(field, n)
  if n == 0 then return end
  redis.call('HSET', KEYS[1], field, text((tonumber(redis.call('HGET', KEYS[1], field)) or 0) + n))
end

if ARGV[1] ~= '' then
  local reserved = redis.call('HGET', KEYS[1], 'r' .. ARGV[1])
  if reserved then
    add('R', -struct.unpack('>d', reserved))
    redis.call('HDEL', KEYS[1], 'r' .. ARGV[1])
  end
end
if ARGV[4] ~= '' then
  local field, version, bytes = 'q' .. ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
  local noted = redis.call('HGET', KEYS[1], field)
  local oldVersion, old = -1, 0
  if noted then oldVersion, old = struct.unpack('>dd', noted) end
  if version > oldVersion or noted == ARGV[5] then
    add('t', bytes - old)
    if bytes > 0 then
      redis.call('HSET', KEYS[1], field, struct.pack('>dd', version, bytes))
    elseif noted then
      redis.call('HDEL', KEYS[1], field)
    end
  end
end
return { redis.call('HLEN', KEYS[1]) }
