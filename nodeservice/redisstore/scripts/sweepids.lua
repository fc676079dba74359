-- sweepids.lua forgets expired message ids of a scope whose entry in the index is
-- due, a thousand at most, and enters when to look again. Of a legacy line the
-- scope is an account, whose share is put right as well. Answers {forgotten}.
local scope, entry, now = ARGV[3], ARGV[4], tonumber(ARGV[5])
local ids, order, index = base .. 'I' .. scope, base .. 'J' .. scope, base .. 'W'
local forgotten, next = 0, nil
for _ = 1, 1000 do
  local oldest = redis.call('LINDEX', order, 0)
  if not oldest then
    next = nil
    break
  end
  local seq, expires = struct.unpack('>dd', oldest)
  next = expires
  if expires > now then break end
  redis.call('LPOP', order)
  local name = string.sub(oldest, 17)
  local is = redis.call('HGET', ids, name)
  if is and struct.unpack('>d', is) == seq then
    redis.call('HDEL', ids, name)
    forgotten = forgotten + 1
  end
end
if string.sub(entry, 1, 1) == 'a' then
  local sh = share(load(), string.sub(scope, 18))
  local first = redis.call('LINDEX', sh.list, 0)
  if first then
    local _, _, expires = struct.unpack('>ddd', first)
    -- If that has expired, its queue is about to be swept: so look later.
    expires = math.max(expires, now + 60000)
    next = next and math.min(next, expires) or expires
  end
end
if next then redis.call('ZADD', index, text(next), entry) else redis.call('ZREM', index, entry) end
return { forgotten }
