-- giveup.lua gives up a creation whose reservation ran out, unless it came to make
-- the pair's record. KEYS[1] is the record, KEYS[2] the mark that keeps it for a day
-- from making it yet, ARGV[1] the channel's id. Answers {made}.
local record = redis.call('GET', KEYS[1])
if record then return { string.sub(record, 1, #ARGV[1]) == ARGV[1] and 1 or 0 } end
redis.call('SET', KEYS[2], '', 'PX', 86400000)
return { 0 }
