-- settlechannel.lua gives a reservation of a channel back; ARGV[2] is 1 if the
-- channel was created under it. What was settled before is left as it is.
if redis.call('HDEL', KEYS[1], 'n' .. ARGV[1]) == 1 then
  redis.call('HINCRBY', KEYS[1], 'C', -1)
  if ARGV[2] == '1' then redis.call('HINCRBY', KEYS[1], 'c', 1) end
end
return { 1 }
