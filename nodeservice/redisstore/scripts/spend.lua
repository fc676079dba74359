-- spend.lua marks a digest as used: nodeservice.Spend. KEYS[1] is the index,
-- where the mark is due when its time is over. Answers {first}.
local until_ = redis.call('ZSCORE', KEYS[1], ARGV[1])
if until_ and tonumber(until_) > tonumber(ARGV[3]) then return { 0 } end
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
return { 1 }
