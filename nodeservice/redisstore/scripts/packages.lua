-- packages.lua is what the scripts of an owner's key packages have in common; it
-- comes before them. KEYS[1] is the hash of the packages by ref, ARGV[1] what all
-- keys of its bucket begin with, ARGV[2] the owner.
local base, owner, now = ARGV[1], ARGV[2], tonumber(ARGV[3])
local packages, stock, index = KEYS[1], base .. 'U' .. owner, base .. 'W'
local ONETIME, LASTRESORT = 1, 2

local function text(n) return string.format('%.0f', n) end

-- shelf is the sorted set of an owner's refs of one kind and suite, by expiry.
local function shelf(kind, suite) return base .. 'Q' .. owner .. text(kind) .. ':' .. text(suite) end

-- A package is its kind, suite, expiry and the end of its lifetime, then 32 bytes
-- of fingerprint, and the data.
local head = '>BHdd'
local headSize = struct.size(head)

local function read(ref)
  local b = redis.call('HGET', packages, ref)
  if not b then return nil end
  local kind, suite, expires, notAfter = struct.unpack(head, b)
  return { kind = kind, suite = suite, expires = expires, notAfter = notAfter, rest = string.sub(b, headSize + 1) }
end

-- suites are those that ever held a package, ascending.
local function suites()
  local all = redis.call('HKEYS', stock)
  for i, s in ipairs(all) do all[i] = tonumber(s) end
  table.sort(all)
  return all
end

-- spent names the mark of a package that was handed out; it is an entry of the
-- index, due when the mark may go.
local function spent(ref) return 'x' .. owner .. ref end

local function live(kind, suite) return redis.call('ZCOUNT', shelf(kind, suite), '(' .. text(now), '+inf') end

local function drop(ref, kind, suite)
  redis.call('HDEL', packages, ref)
  redis.call('ZREM', shelf(kind, suite), ref)
end
