-- Removes the copy of a subject's standing, and voids the tickets of those who are about to install an older one.
--
-- KEYS[1] the copy

local time = redis.call('TIME')
redis.call('HDEL', KEYS[1], 'copy')
-- A ticket is never given out twice, not even after the key has expired in between.
redis.call('HSET', KEYS[1], 'gen', time[1] .. '.' .. time[2] .. '.' .. redis.call('HINCRBY', KEYS[1], 'removals', 1))
redis.call('PEXPIRE', KEYS[1], 120000)
return 1
