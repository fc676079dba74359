-- held.lua expires the front of a queue, and answers what an account has in it
-- then, and whether a message of its was stored under a token: {version, bytes,
-- stored}. The queue is that of the member whose key begins so; ARGV[6] is the token,
-- and the message's id behind it, or ''; ARGV[7] is 1 if the token's reservation ran
-- out, and is about to be given back.
local account, recipient, now, token = ARGV[3], ARGV[4], tonumber(ARGV[5]), string.sub(ARGV[6], 1, 12)
local id, ranOut = string.sub(ARGV[6], 13), ARGV[7] == '1'
local once = base .. 'O' .. token
local l = load()
local legacy = string.sub(line, 1, 1) == 'l'
local s = string.sub(l.m1 or '', 1, #recipient) == recipient and '1' or '0'

local function stored()
  if token == '' then return 0 end
  if id == '' then return redis.call('EXISTS', once) end
  local known = redis.call('HGET', base .. 'I' .. line .. (legacy and account or s), id)
  return known and string.sub(known, -8) == string.sub(token, 1, 8) and 1 or 0
end

expire(l, s, now)
local is = stored()
-- Its owner may have been held up, and come to store it yet: nothing would count it
-- then. So it is not let in for a day.
if ranOut and is == 0 then redis.call('SET', once, '', 'PX', 86400000) end
return { version(l, s), legacy and share(l, account).bytes or heldBytes(l, s), is }
