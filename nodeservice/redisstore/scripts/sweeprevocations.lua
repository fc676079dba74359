-- sweeprevocations.lua forgets revocations whose time is over, ARGV[2] at most.
-- Answers {forgotten}.
local over = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', ARGV[1], 'LIMIT', 0, ARGV[2])
if #over > 0 then
  redis.call('HDEL', KEYS[1], unpack(over))
  redis.call('ZREM', KEYS[2], unpack(over))
end
return { #over }
