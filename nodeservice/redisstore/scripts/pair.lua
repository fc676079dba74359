-- pair.lua sets a pair's record, if there is none. KEYS[1] is the record. Answers
-- the one that there is then.
redis.call('SET', KEYS[1], ARGV[1], 'NX')
return { redis.call('GET', KEYS[1]) }
