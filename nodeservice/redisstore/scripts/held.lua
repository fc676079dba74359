-- held.lua expires the front of a queue, and answers what an account has in it
-- then, and whether a message of its was stored under a token: {version, bytes,
-- stored}. The queue is that of the member whose key begins so; ARGV[6] is the token,
-- and the message's id behind it, or ''.
local account, recipient, now, token = ARGV[3], ARGV[4], tonumber(ARGV[5]), string.sub(ARGV[6], 1, 12)
local id = string.sub(ARGV[6], 13)
local l = load()
if not l.m0 then return { 0, 0, 0 } end
local legacy = string.sub(line, 1, 1) == 'l'
local s = string.sub(l.m1 or '', 1, #recipient) == recipient and '1' or '0'

local function stored()
  if token == '' then return 0 end
  if id == '' then return redis.call('EXISTS', base .. 'O' .. token) end
  local known = redis.call('HGET', base .. 'I' .. line .. (legacy and account or s), id)
  return known and string.sub(known, -8) == string.sub(token, 1, 8) and 1 or 0
end

expire(l, s, now)
if legacy then return { version(l, s), share(l, account).bytes, stored() } end
return { version(l, s), heldBytes(l, s), stored() }
