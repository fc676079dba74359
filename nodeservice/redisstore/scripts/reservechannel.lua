-- reservechannel.lua takes one out of the channels that an account may create,
-- before the channel is created elsewhere. KEYS[1] is the account. Answers as
-- reserve.lua does.
local field, most = 'n' .. ARGV[1], tonumber(ARGV[3])
if redis.call('HEXISTS', KEYS[1], field) == 1 then return { 1 } end
local got = redis.call('HMGET', KEYS[1], 'c', 'C')
local created, reserved = tonumber(got[1]) or 0, tonumber(got[2]) or 0
if most == 0 or created + reserved < most then
  redis.call('HSET', KEYS[1], field, struct.pack('>d', tonumber(ARGV[2])) .. ARGV[4])
  redis.call('HINCRBY', KEYS[1], 'C', 1)
  return { 1 }
end
if created >= most then return { 0 } end
return { 2 }
