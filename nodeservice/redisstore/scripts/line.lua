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

local function queue(s) return base .. 'S' .. line .. s end
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

-- A message is its seq, receivedAt, expiresAt, the bytes of all payloads of the
-- queue through its own, and the size of its own; then the payload.
local head = '>ddddI4'
local headSize = struct.size(head)

local function message(b)
  local seq, received, expires, bytes, size = struct.unpack(head, b)
  return { seq = seq, received = received, expires = expires, bytes = bytes, size = size }
end

-- at is the message at a place in a queue, from 0 on.
local function at(s, place) return message(redis.call('LINDEX', queue(s), place)) end

-- search is how many messages of a queue come before the first that is past
-- something: 14 looks for 10,000.
local function search(l, s, past)
  local low, high = 0, held(l, s)
  while low < high do
    local middle = math.floor((low + high) / 2)
    if past(at(s, middle)) then high = middle else low = middle + 1 end
  end
  return low
end

-- expired is how many messages of a queue have expired by now. Expiry never
-- decreases in a line.
local function expired(l, s, now)
  if held(l, s) == 0 or number(l['w' .. s]) > now or at(s, 0).expires > now then return 0 end
  return search(l, s, function(m) return m.expires > now end)
end

-- unlinkThrough removes the payloads of a queue that are kept apart, through a seq.
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

-- skip counts messages out of the front of a queue, in the table, and returns the
-- last of them.
local function skip(l, s, count)
  local last = at(s, count - 1)
  l['N' .. s], l['B' .. s] = text(number(l['N' .. s]) + count), text(last.bytes)
  return last
end

-- remove takes messages away from the front of a queue.
local function remove(l, s, count)
  if count == 0 then return end
  local all = count == held(l, s)
  local last = skip(l, s, count)
  unlinkThrough(s, last.seq)
  if all then
    redis.call('DEL', queue(s))
  else
    redis.call('LTRIM', queue(s), count, -1)
  end
  redis.call('HSET', KEYS[1], 'N' .. s, l['N' .. s], 'B' .. s, l['B' .. s])
  return last
end

-- expire removes what has expired by now, raises the floor, and says how many
-- messages that were.
local function expire(l, s, now)
  local count = expired(l, s, now)
  if count > 0 then
    l['f' .. s] = text(remove(l, s, count).seq)
    redis.call('HSET', KEYS[1], 'f' .. s, l['f' .. s])
  end
  return count
end

-- view is a side as it is seen at an instant: what has expired counts as such,
-- swept or not. It changes nothing but the table, and says how many messages it
-- left out.
local function view(l, s, now)
  local count = expired(l, s, now)
  if count > 0 then l['f' .. s] = text(skip(l, s, count).seq) end
  return count
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
