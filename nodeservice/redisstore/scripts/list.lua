-- list.lua gives a channel its place in a viewer's list, if it has none. KEYS[1]
-- is the list: channels by ordinal, which are never taken out. Answers {ordinal,
-- given}.
local at = redis.call('ZSCORE', KEYS[1], ARGV[1])
if at then return { tonumber(at), 0 } end
local ordinal = redis.call('ZCARD', KEYS[1]) + 1
redis.call('ZADD', KEYS[1], ordinal, ARGV[1])
return { ordinal, 1 }
