-- read.lua reads a page of a queue: nodeservice.Read. Answers {head, acked,
-- floor, more, messages}, each message {seq, receivedAt, expiresAt, payload, size};
-- a payload that is kept apart is empty, and fetched by the caller.
local who, after, limit = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local maxBytes, now = tonumber(ARGV[6]), tonumber(ARGV[7])

local l = load()
local s = side(l, who)
if not s then return { 0, 0, 0, 0, {}, '' } end
local first = view(l, s, now)
local last = first + held(l, s)
if after >= start(l, s) then
  -- The list holds what has expired as well, and so does the search.
  l['N' .. s] = text(number(l['n' .. s]) - last)
  first = search(l, s, function(m) return m.seq > after end)
end
local page, more, sum = {}, 0, 0
-- A few messages at a time: what is read beyond the page's end was for nothing.
while first < last and more == 0 do
  local some = redis.call('LRANGE', queue(s), first, first + math.min(limit - #page, 31))
  if #some == 0 then return redis.error_reply('CORRUPT a queue holds fewer messages than its line says') end
  for _, b in ipairs(some) do
    local m = message(b)
    sum = sum + m.size
    if #page > 0 and (#page >= limit or sum > maxBytes) then
      more = 1
      break
    end
    page[#page + 1] = { m.seq, m.received, m.expires, string.sub(b, headSize + 1), m.size }
    first = first + 1
  end
end
return { number(l.h), number(l['a' .. s]), shownFloor(l, s), more, page, s }
