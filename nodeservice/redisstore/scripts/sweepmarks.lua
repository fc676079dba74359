-- sweepmarks.lua forgets marks of what is spent, whose time is over: from ARGV[2]
-- on, unless they were set anew since. KEYS[1] is the index. Answers {forgotten}.
local forgotten = 0
for i = 2, #ARGV do
  local until_ = redis.call('ZSCORE', KEYS[1], ARGV[i])
  if until_ and tonumber(until_) <= tonumber(ARGV[1]) then
    forgotten = forgotten + redis.call('ZREM', KEYS[1], ARGV[i])
  end
end
return { forgotten }
