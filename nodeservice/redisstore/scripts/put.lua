-- put.lua stores a batch of key packages of one kind, all or none:
-- nodeservice.PutKeyPackages. Answers {result, index}.
local kind, most = tonumber(ARGV[4]), tonumber(ARGV[5])
local STORED, SPENT, OTHERKIND, OVER = 1, 2, 3, 4

-- The batch is tried on what is held before anything is written: is says by ref
-- what would be there, false for nothing.
local is, lastResorts, steps = {}, {}, {}
local before = 0
for _, suite in ipairs(suites()) do before = before + live(ONETIME, suite) + live(LASTRESORT, suite) end
local count = before

local function there(ref)
  if is[ref] == nil then is[ref] = read(ref) or false end
  return is[ref]
end

-- replaced are the last-resort packages that a new one of their suite replaces.
local function replaced(suite)
  if not lastResorts[suite] then
    lastResorts[suite] = {}
    for _, ref in ipairs(redis.call('ZRANGE', shelf(LASTRESORT, suite), 0, -1)) do lastResorts[suite][ref] = true end
  end
  return lastResorts[suite]
end

local function plan(p)
  local step = { put = p, drop = {} }
  local function take(ref)
    local old = there(ref)
    if not old then return end
    if old.expires > now then count = count - 1 end
    step.drop[#step.drop + 1] = { ref = ref, kind = old.kind, suite = old.suite }
    is[ref] = false
  end
  take(p.ref)
  if kind == LASTRESORT then
    local others = replaced(p.suite)
    for ref in pairs(others) do take(ref) end
    lastResorts[p.suite] = { [p.ref] = true }
  end
  if p.expires > now then count = count + 1 end
  is[p.ref] = { kind = kind, suite = p.suite, expires = p.expires }
  steps[#steps + 1] = step
end

for i = 6, #ARGV, 6 do
  local p = {
    ref = ARGV[i], suite = tonumber(ARGV[i + 1]), expires = tonumber(ARGV[i + 2]), notAfter = tonumber(ARGV[i + 3]),
    rest = ARGV[i + 4] .. ARGV[i + 5],
  }
  local at = (i - 6) / 6
  local until_ = redis.call('ZSCORE', index, spent(p.ref))
  if until_ and tonumber(until_) > now then return { SPENT, at } end
  local old = there(p.ref)
  if old and old.expires > now then
    if old.kind ~= kind then return { OTHERKIND, at } end
  else
    plan(p)
  end
end
if most > 0 and count > math.max(most, before) then return { OVER, 0 } end

for _, step in ipairs(steps) do
  for _, d in ipairs(step.drop) do drop(d.ref, d.kind, d.suite) end
  local p = step.put
  redis.call('HSET', packages, p.ref, struct.pack(head, kind, p.suite, p.expires, p.notAfter) .. p.rest)
  redis.call('ZADD', shelf(kind, p.suite), text(p.expires), p.ref)
  if kind == LASTRESORT then
    redis.call('HSET', stock, text(p.suite), '0')
  else
    redis.call('HSETNX', stock, text(p.suite), '0')
  end
  redis.call('ZADD', index, 'LT', text(p.expires), 'k' .. owner)
end
return { STORED, 0 }
