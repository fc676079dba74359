-- reserve.lua takes room for a message out of an account's quota before the
-- message is stored elsewhere. KEYS[1] is the account. Answers {1} for reserved,
-- {0} for over, {2} if only what is reserved by others stands in the way.
local field, size, quota = 'r' .. ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
if redis.call('HEXISTS', KEYS[1], field) == 1 then return { 1 } end
local got = redis.call('HMGET', KEYS[1], 't', 'R')
local total, reserved = tonumber(got[1]) or 0, tonumber(got[2]) or 0
if total + reserved + size <= quota then
  redis.call('HSET', KEYS[1], field, struct.pack('>dd', size, tonumber(ARGV[4])) .. ARGV[5],
    'R', string.format('%.0f', reserved + size))
  return { 1 }
end
if total + size > quota then return { 0 } end
return { 2 }
