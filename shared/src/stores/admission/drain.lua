-- Takes out what is leased of a month and not spent, so that nobody spends it any more, and keeps it for whoever closes the
-- month. It stays known here alone, so that who dies on the way loses nothing and who asks again takes nothing twice.
--
-- KEYS[1] the month's hash, as in admit.lua

local stored = redis.call('HGET', KEYS[1], 'w')
if not stored then
  return 0
end
local current, left, total, resets = struct.unpack('>i8i8i8i8', stored)
if left > 0 then
  redis.call('HINCRBY', KEYS[1], current, left)
  redis.call('HSET', KEYS[1], 'w', struct.pack('>i8i8i8i8', current, 0, total, resets))
end
return 1
