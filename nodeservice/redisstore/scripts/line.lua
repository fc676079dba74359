-- line.lua is what the scripts of a line have in common; it comes before them.
-- KEYS[1] is the line's hash, ARGV[1] what all keys of its bucket begin with,
-- ARGV[2] the line's name. The other keys are made of the two: keys.go says how.
local base, line = ARGV[1], ARGV[2]

-- text keeps all digits of a number, where Lua by itself keeps 14.
local function text(n) return string.format('%.0f', n) end
local function number(s) return tonumber(s) or 0 end
local function beyond(n, quota) return quota > 0 and n > quota end

-- load reads the line as a table of strings by field.
local function load()
  local flat, l = redis.call('HGETALL', KEYS[1]), {}
  for i = 1, #flat, 2 do l[flat[i]] = flat[i + 1] end
  return l
end

-- side is the recipient's place in the line; nil: not a member. A legacy line
-- that was never written is anybody's.
local function side(l, who)
  if l.m0 == who then return '0' end
  if l.m1 == who then return '1' end
  if string.sub(line, 1, 1) == 'l' and not l.m0 then return '0' end
  return nil
end

local function stream(s) return base .. 'S' .. line .. s end
local function held(l, s) return number(l['n' .. s]) - number(l['N' .. s]) end
local function heldBytes(l, s) return number(l['b' .. s]) - number(l['B' .. s]) end
local function start(l, s) return math.max(number(l['a' .. s]), number(l['f' .. s])) + 1 end

-- version grows with every message that comes or goes.
local function version(l, s) return number(l['n' .. s]) + number(l['N' .. s]) end

-- shownFloor is the floor as readers see it.
local function shownFloor(l, s)
  local floor = number(l['f' .. s])
  if number(l['a' .. s]) >= floor then return 0 end
  return floor
end

-- message reads an entry of a stream, whose fields append.lua wrote.
local function message(entry)
  local f = entry[2]
  return {
    seq = tonumber(string.match(entry[1], '^%d+')), received = tonumber(f[2]), expires = tonumber(f[4]),
    count = tonumber(f[6]), bytes = tonumber(f[8]), size = tonumber(f[10]), payload = f[12],
  }
end

-- from is the first message of a queue with a seq at or above; nil: none.
local function from(s, seq)
  local got = redis.call('XRANGE', stream(s), text(seq), '+', 'COUNT', 1)
  return got[1] and message(got[1])
end

-- through is the last message of a queue with a seq at or below; nil: none.
local function through(s, seq)
  local got = redis.call('XREVRANGE', stream(s), text(seq), '-', 'COUNT', 1)
  return got[1] and message(got[1])
end

-- lastExpired is the last message that has expired by now; nil: none. Expiry
-- never decreases in a line, so it searches by halves: 53 steps at most.
local function lastExpired(l, s, now)
  if held(l, s) == 0 or number(l['w' .. s]) > now then return nil end
  local expired = from(s, start(l, s))
  if not expired or expired.expires > now then return nil end
  local fresh = number(l.h) + 1 -- no message at or above has expired
  while fresh > expired.seq + 1 do
    local middle = expired.seq + math.floor((fresh - expired.seq) / 2)
    local m = from(s, middle)
    if m and m.expires <= now then expired = m else fresh = middle end
  end
  return expired
end

-- unlinkBelow removes the payloads of a queue that are kept apart, through a seq.
local function unlinkThrough(s, seq)
  local big = base .. 'Z' .. line .. s
  local all = redis.call('ZRANGEBYSCORE', big, '-inf', text(seq))
  for i = 1, #all, 100 do
    local names = {}
    for j = i, math.min(i + 99, #all) do names[#names + 1] = base .. 'B' .. line .. s .. all[j] end
    redis.call('UNLINK', unpack(names))
  end
  if #all > 0 then redis.call('ZREMRANGEBYSCORE', big, '-inf', text(seq)) end
end

-- remove takes the front of a queue away, through message last, and says how many
-- messages that were. What a message records of all before it makes that a
-- subtraction.
local function remove(l, s, last)
  local gone = last.count - number(l['N' .. s])
  unlinkThrough(s, last.seq)
  if last.count == number(l['n' .. s]) then
    redis.call('DEL', stream(s))
  else
    redis.call('XTRIM', stream(s), 'MINID', '=', text(last.seq + 1))
  end
  l['N' .. s], l['B' .. s] = text(last.count), text(last.bytes)
  redis.call('HSET', KEYS[1], 'N' .. s, l['N' .. s], 'B' .. s, l['B' .. s])
  return gone
end

-- expire removes what has expired by now, and raises the floor.
local function expire(l, s, now)
  local last = lastExpired(l, s, now)
  if not last then return 0 end
  local gone = remove(l, s, last)
  l['f' .. s] = text(last.seq)
  redis.call('HSET', KEYS[1], 'f' .. s, l['f' .. s])
  return gone
end

-- view is a side as it is seen at an instant: what has expired counts as such,
-- swept or not. It changes nothing but the table.
local function view(l, s, now)
  local last = lastExpired(l, s, now)
  if not last then return end
  l['N' .. s], l['B' .. s], l['f' .. s] = text(last.count), text(last.bytes), text(last.seq)
end

-- share is what one account has in a legacy queue: a hash of its messages (n) and
-- their bytes (b), and a list of each one's seq, size and expiry. Messages that
-- went from the queue are taken out here.
local function share(l, account)
  local sums, list = base .. 'H' .. line .. account, base .. 'G' .. line .. account
  local got = redis.call('HMGET', sums, 'n', 'b')
  local sh = { sums = sums, list = list, count = number(got[1]), bytes = number(got[2]) }
  local first, changed = start(l, '0'), false
  local item = redis.call('LINDEX', list, 0)
  while item do
    local seq, size = struct.unpack('>ddd', item)
    if seq >= first then break end
    redis.call('LPOP', list)
    sh.count, sh.bytes, changed = sh.count - 1, sh.bytes - size, true
    item = redis.call('LINDEX', list, 0)
  end
  if changed and sh.count == 0 then
    redis.call('DEL', sums)
  elseif changed then
    redis.call('HSET', sums, 'n', text(sh.count), 'b', text(sh.bytes))
  end
  return sh
end
