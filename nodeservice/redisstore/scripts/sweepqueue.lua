-- sweepqueue.lua expires the front of a queue whose entry in the index is due,
-- and enters when to look again. Answers {removed, floor, recipient}. The floor is told
-- though nothing was removed: this script may be sent again, and whoever made room for
-- a message expired what was before it, and told no reader.
local s, now = ARGV[3], tonumber(ARGV[4])
local index, entry = base .. 'W', 'm' .. line .. s
local l = load()
local gone = expire(l, s, now)
local first = held(l, s) > 0 and at(s, 0)
if first then
  redis.call('ZADD', index, text(first.expires), entry)
else
  redis.call('ZREM', index, entry)
  redis.call('HDEL', KEYS[1], 'w' .. s)
end
return { gone, shownFloor(l, s), l['m' .. s] or '' }
