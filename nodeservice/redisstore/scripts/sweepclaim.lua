-- sweepclaim.lua forgets a claim, whose entry in the index is due, unless it was
-- made anew since. KEYS[1] is the claim, KEYS[2] the index, ARGV[1] the entry.
-- Answers {forgotten}.
local due = redis.call('ZSCORE', KEYS[2], ARGV[1])
if not due or tonumber(due) > tonumber(ARGV[2]) then return { 0 } end
redis.call('ZREM', KEYS[2], ARGV[1])
return { redis.call('DEL', KEYS[1]) }
