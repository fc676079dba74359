-- pair.lua sets a pair's record, if there is none, unless the creation was given up
-- meanwhile (giveup.lua). KEYS[1] is the record, KEYS[2] the mark of that. Answers the
-- record that there is then.
if redis.call('EXISTS', KEYS[2]) == 0 then redis.call('SET', KEYS[1], ARGV[1], 'NX') end
local record = redis.call('GET', KEYS[1])
if not record then return redis.error_reply('GONE the reservation ran out, and was given back') end
return { record }
