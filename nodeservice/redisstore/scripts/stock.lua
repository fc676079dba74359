-- stock.lua counts an owner's key packages: nodeservice.KeyPackageStock. Answers a
-- list of {suite, oneTime, soonestExpiry, lastResort, uses}.
local all = {}
for _, suite in ipairs(suites()) do
  local first = redis.call('ZRANGEBYSCORE', shelf(ONETIME, suite), '(' .. text(now), '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
  local last, uses = live(LASTRESORT, suite), 0
  if last > 0 then uses = tonumber(redis.call('HGET', stock, text(suite))) end
  all[#all + 1] = { suite, live(ONETIME, suite), tonumber(first[2]) or 0, last > 0 and 1 or 0, uses }
end
return all
