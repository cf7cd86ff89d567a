-- Takes out what is leased of a month and not spent, so that nobody spends it any more.
--
-- KEYS[1] the month's hash, as in admit.lua
--
-- Returns numbers, packed as there: the month, what was taken out; or nothing if there is no such month

local stored = redis.call('HGET', KEYS[1], 'w')
if not stored then
  return false
end
local current, left, total, resets = struct.unpack('>i8i8i8i8', stored)
redis.call('HSET', KEYS[1], 'w', struct.pack('>i8i8i8i8', current, 0, total, resets))
return struct.pack('>i8i8', current, left)
