-- sweepmarks.lua forgets marks whose time is over, ARGV[2] at most. Answers
-- {forgotten}.
local over = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[2])
if #over > 0 then redis.call('ZREM', KEYS[1], unpack(over)) end
return { #over }
