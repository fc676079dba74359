-- seen.lua notes in a channel's line that a member has the channel in its list.
-- KEYS[1] is the line, ARGV[1] the member, ARGV[2] the channel's place, which a list
-- gives once: whoever writes it again writes the same.
local members = redis.call('HMGET', KEYS[1], 'm0', 'm1')
for i = 1, 2 do
  if members[i] == ARGV[1] then redis.call('HSET', KEYS[1], 'o' .. (i - 1), ARGV[2]) end
end
return { 1 }
