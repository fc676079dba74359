-- read.lua reads a page of a queue: nodeservice.Read. Answers {head, acked,
-- floor, more, messages}, each message {seq, receivedAt, expiresAt, payload, size};
-- a payload that is kept apart is empty, and fetched by the caller.
local who, after, limit = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local maxBytes, now = tonumber(ARGV[6]), tonumber(ARGV[7])

local l = load()
local s = side(l, who)
if not s then return { 0, 0, 0, 0, {}, '' } end
view(l, s, now)
local page, more, sum = {}, 0, 0
local left, next = held(l, s), math.max(start(l, s), after + 1)
-- A few messages at a time: what is read beyond the page's end was for nothing.
while left > 0 and next <= number(l.h) and more == 0 do
  local entries = redis.call('XRANGE', stream(s), text(next), '+', 'COUNT', math.min(limit - #page + 1, 32))
  for _, entry in ipairs(entries) do
    local m = message(entry)
    sum = sum + m.size
    if #page > 0 and (#page >= limit or sum > maxBytes) then
      more = 1
      break
    end
    page[#page + 1] = { m.seq, m.received, m.expires, m.payload, m.size }
    next = m.seq + 1
  end
  if #entries == 0 then break end
end
return { number(l.h), number(l['a' .. s]), shownFloor(l, s), more, page, s }
