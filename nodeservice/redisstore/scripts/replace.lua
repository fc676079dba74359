-- Puts ARGV[2] in the place of ARGV[1], if that is what KEYS[1] holds.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[2])
return 1
