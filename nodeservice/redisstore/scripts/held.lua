-- held.lua expires the front of a queue, and answers what an account has in it
-- then: {version, bytes}. The queue is that of the member whose key begins so.
local account, recipient, now = ARGV[3], ARGV[4], tonumber(ARGV[5])
local l = load()
if not l.m0 then return { 0, 0 } end
local s = string.sub(l.m1 or '', 1, #recipient) == recipient and '1' or '0'
expire(l, s, now)
if string.sub(line, 1, 1) == 'l' then return { version(l, s), share(l, account).bytes } end
return { version(l, s), heldBytes(l, s) }
