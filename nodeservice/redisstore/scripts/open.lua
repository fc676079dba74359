-- open.lua makes a channel's line, if it is not there. KEYS[1] is the line.
if redis.call('HSETNX', KEYS[1], 'm0', ARGV[1]) == 1 then
  redis.call('HSET', KEYS[1], 'm1', ARGV[2], 'c', ARGV[3])
end
return { 1 }
