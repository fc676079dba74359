-- append.lua stores a message at the tail of a queue: nodeservice.Append.
-- Answers {outcome, seq, receivedAt, head, version, bytes, unseen}: version and
-- bytes are of what the account has in the queue now, unseen says which members
-- do not have the channel in their list (1: the recipient, 2: the sender).
local who, token, payload, size, digest = ARGV[3], ARGV[4], ARGV[5], tonumber(ARGV[6]), ARGV[7]
local apart, id, ifHead = ARGV[8], ARGV[9], ARGV[10]
local now, expires = tonumber(ARGV[11]), tonumber(ARGV[12])
local queueMessages, queueBytes = tonumber(ARGV[13]), tonumber(ARGV[14])
local shareMessages, shareBytes = tonumber(ARGV[15]), tonumber(ARGV[16])
local rememberedIDs, overQuota, account = tonumber(ARGV[17]), ARGV[18] == '1', ARGV[19]
local DUPLICATE, REUSED, MOVED, FULL, OVER, STORED = 1, 2, 3, 4, 5, 6

local l = load()
local legacy = string.sub(line, 1, 1) == 'l'
local s = side(l, who)
if not s then return redis.error_reply('NOCHANNEL there is no such channel, or the recipient is not a member') end
local before = number(l.h)

local function answer(outcome, seq, received)
  local bytes, unseen = heldBytes(l, s), 0
  if legacy then
    bytes = share(l, account).bytes
  elseif outcome == STORED or outcome == DUPLICATE then
    if not l['o' .. s] then unseen = 1 end
    if not l['o' .. (1 - tonumber(s))] then unseen = unseen + 2 end
  end
  return { outcome, seq or 0, received or 0, number(l.h), version(l, s), bytes, unseen }
end

-- A message that was sent again by this engine itself, since it did not hear the
-- answer, was stored; the token tells. A message id remembers it, else a key.
local scope = line .. (legacy and account or s)
local ids, order = base .. 'I' .. scope, base .. 'J' .. scope
local once = base .. 'O' .. token
local stored = redis.call('GET', once)
if stored == '' then return redis.error_reply('GONE the reservation ran out, and was given back') end
if stored then
  local seq, received = struct.unpack('>dd', stored)
  return answer(STORED, seq, received)
end
local known = id ~= '' and redis.call('HGET', ids, id)
if known then
  local seq, received, until_, same, by = struct.unpack('>dddc32c8', known)
  if by == string.sub(token, 1, 8) then return answer(STORED, seq, received) end
  if until_ > now and same == digest then return answer(DUPLICATE, seq, received) end
  if until_ > now then return answer(REUSED) end
end
if ifHead ~= '' and tonumber(ifHead) ~= before then return answer(MOVED) end

-- refusal is the first quota that speaks against the message; nil: none.
local function refusal()
  if beyond(held(l, s) + 1, queueMessages) or beyond(heldBytes(l, s) + size, queueBytes) then return FULL end
  if overQuota then return OVER end
  if legacy and (shareMessages > 0 or shareBytes > 0) then
    local sh = share(l, account)
    if beyond(sh.count + 1, shareMessages) or beyond(sh.bytes + size, shareBytes) then return OVER end
  end
end

local refused = refusal()
if refused and expire(l, s, now) > 0 then refused = refusal() end
if refused then return answer(refused) end

-- Every check has passed.
if apart ~= '' and redis.call('EXISTS', apart) == 0 then
  return redis.error_reply('GONE the payload was not there in time')
end
local seq = before + 1
local received = math.max(number(l.r), now)
if not l.r then received = now end
expires = l.e and math.max(tonumber(l.e), expires) or expires
l.h, l.r, l.e = text(seq), text(received), text(expires)
l['n' .. s] = text(number(l['n' .. s]) + 1)
l['b' .. s] = text(number(l['b' .. s]) + size)
redis.call('RPUSH', queue(s), struct.pack(head, seq, received, expires, number(l['b' .. s]), size) .. payload)
if apart ~= '' then
  local kept = base .. 'B' .. line .. s .. l.h
  redis.call('RENAME', apart, kept)
  redis.call('PERSIST', kept)
  redis.call('ZADD', base .. 'Z' .. line .. s, l.h, l.h)
end
local fields = { 'h', l.h, 'r', l.r, 'e', l.e, 'n' .. s, l['n' .. s], 'b' .. s, l['b' .. s] }
local index = base .. 'W'
if not l['w' .. s] then
  fields[#fields + 1], fields[#fields + 2] = 'w' .. s, l.e
  redis.call('ZADD', index, 'NX', l.e, 'm' .. line .. s)
end
if legacy and not l.m0 then fields[#fields + 1], fields[#fields + 2] = 'm0', who end
redis.call('HSET', KEYS[1], unpack(fields))

if legacy then
  local sh = share(l, account)
  redis.call('HSET', sh.sums, 'n', text(sh.count + 1), 'b', text(sh.bytes + size))
  redis.call('RPUSH', sh.list, struct.pack('>ddd', seq, size, expires))
  redis.call('ZADD', index, 'NX', l.e, 'a' .. scope)
end

if id == '' then
  redis.call('SET', once, struct.pack('>dd', seq, received), 'PX', 60000)
  return answer(STORED, seq, received)
end
redis.call('HSET', ids, id, struct.pack('>dddc32c8', seq, received, expires, digest, token))
redis.call('RPUSH', order, struct.pack('>dd', seq, expires) .. id)
redis.call('ZADD', index, 'NX', l.e, (legacy and 'a' or 'i') .. scope)
-- The list may hold ids that were used anew since; those go without counting.
for _ = 1, 1000 do
  if not beyond(redis.call('HLEN', ids), rememberedIDs) then break end
  local oldest = redis.call('LPOP', order)
  if not oldest then break end
  local name = string.sub(oldest, 17)
  local is = redis.call('HGET', ids, name)
  if is and struct.unpack('>d', is) == struct.unpack('>d', oldest) then redis.call('HDEL', ids, name) end
end
return answer(STORED, seq, received)
