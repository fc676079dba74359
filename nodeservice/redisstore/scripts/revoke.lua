-- revoke.lua stores a revocation, unless the one of its name reaches as far:
-- nodeservice.Revoke. KEYS[1] is the hash of all, KEYS[2] the sorted set of their
-- names by the time they last until. A record begins with that time and with
-- issuedBefore.
local name, until_, issuedBefore, record = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local old = redis.call('HGET', KEYS[1], name)
if old then
  local oldUntil, oldIssued = struct.unpack('>dd', old)
  if issuedBefore < oldIssued or issuedBefore == oldIssued and until_ <= oldUntil then return { 0 } end
end
redis.call('HSET', KEYS[1], name, record)
redis.call('ZADD', KEYS[2], ARGV[2], name)
return { 1 }
