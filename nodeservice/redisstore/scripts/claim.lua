-- claim.lua hands out one key package: nodeservice.ClaimKeyPackage. Answers {} if
-- there is none, else {repeated, kind, suite, fingerprint, data, remaining}.
local oneTime, minExpiry, claim = ARGV[4] == '1', tonumber(ARGV[5]), ARGV[6]
local claimUntil, token = tonumber(ARGV[7]), ARGV[8]

-- An answer is remembered under the claim id, or for a moment under the token of
-- this very call, which the engine may send again.
local record = '>dBH'
local recordSize = struct.size(record)
local remembered = claim ~= '' and base .. 'C' .. claim or base .. 'O' .. token

local function answer(repeated, kind, suite, rest)
  return { repeated, kind, suite, string.sub(rest, 1, 32), string.sub(rest, 33), live(ONETIME, suite) }
end

local b = redis.call('GET', remembered)
if b then
  local until_, kind, suite = struct.unpack(record, b)
  local rest = string.sub(b, recordSize + 1)
  if claim == '' then return answer(0, kind, suite, rest) end
  if until_ > now then return answer(1, kind, suite, rest) end
end

local wanted = {}
for i = 9, #ARGV do wanted[#wanted + 1] = tonumber(ARGV[i]) end
if #wanted == 0 then wanted = suites() end

-- soonest is the one-time package that expires first; ties go by ref, as Redis
-- sorts them.
local function soonest()
  local best, expires
  for _, suite in ipairs(wanted) do
    local got = redis.call('ZRANGEBYSCORE', shelf(ONETIME, suite), text(math.max(minExpiry, now + 1)), '+inf',
      'WITHSCORES', 'LIMIT', 0, 1)
    local ref, at = got[1], tonumber(got[2])
    if ref and (not best or at < expires or at == expires and ref < best) then best, expires = ref, at end
  end
  return best
end

local function lastResort()
  for _, suite in ipairs(wanted) do
    local got = redis.call('ZRANGEBYSCORE', shelf(LASTRESORT, suite), '(' .. text(now), '+inf', 'LIMIT', 0, 1)
    if got[1] then return got[1] end
  end
end

local ref = oneTime and soonest()
ref = ref or lastResort()
if not ref then return {} end
local p = read(ref)
if not p then return redis.error_reply('CORRUPT an index names a key package that is not there') end
if p.kind == ONETIME then
  drop(ref, p.kind, p.suite)
  redis.call('ZADD', index, text(p.notAfter), spent(ref))
else
  redis.call('HINCRBY', stock, text(p.suite), 1)
end
local kept = struct.pack(record, claimUntil, p.kind, p.suite) .. p.rest
if claim ~= '' then
  redis.call('SET', remembered, kept)
  redis.call('ZADD', index, text(claimUntil), 'c' .. claim)
else
  redis.call('SET', remembered, kept, 'PX', 60000)
end
return answer(0, p.kind, p.suite, p.rest)
