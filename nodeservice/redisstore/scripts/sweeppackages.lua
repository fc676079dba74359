-- sweeppackages.lua drops an owner's expired key packages, whose entry in the
-- index is due, and enters when to look again. Answers {dropped}.
local dropped, next = 0, nil
for _, suite in ipairs(suites()) do
  for kind = ONETIME, LASTRESORT do
    local at = shelf(kind, suite)
    for _, ref in ipairs(redis.call('ZRANGEBYSCORE', at, '-inf', text(now), 'LIMIT', 0, 500)) do
      drop(ref, kind, suite)
      dropped = dropped + 1
    end
    local first = redis.call('ZRANGE', at, 0, 0, 'WITHSCORES')
    if first[2] then next = math.min(next or tonumber(first[2]), tonumber(first[2])) end
  end
end
if next then redis.call('ZADD', index, text(next), 'k' .. owner) else redis.call('ZREM', index, 'k' .. owner) end
return { dropped }
