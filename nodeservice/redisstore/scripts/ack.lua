-- ack.lua acknowledges a queue: nodeservice.Ack. Answers {outcome, acked, head}.
local who, upTo, ifAcked, token = ARGV[3], tonumber(ARGV[4]), ARGV[5], ARGV[6]
local once = base .. 'O' .. token
local BEYOND, CONFLICT, UNCHANGED, DONE = 1, 2, 3, 4

local l = load()
local s = side(l, who)
if not s then l, s = {}, '0' end
local head, acked = number(l.h), number(l['a' .. s])
if upTo > head then return { BEYOND, acked, head } end
if ifAcked ~= '' and tonumber(ifAcked) ~= acked then
  -- It may be this very call, sent again by the engine: then it was done, whatever
  -- others acknowledged since.
  if redis.call('EXISTS', once) == 1 then return { DONE, acked, head } end
  return { CONFLICT, acked, head }
end
if acked >= upTo then return { UNCHANGED, acked, head } end
if upTo == head then
  remove(l, s, held(l, s))
else
  remove(l, s, search(l, s, function(m) return m.seq > upTo end))
end
redis.call('HSET', KEYS[1], 'a' .. s, text(upTo))
if ifAcked ~= '' then redis.call('SET', once, text(upTo), 'PX', 60000) end
return { DONE, upTo, head }
