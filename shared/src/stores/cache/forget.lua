-- Removes the copy of an owner's generations, and voids the tickets of those who are about to install an older one.
--
-- KEYS[1] the copy, as in look.lua

redis.call('DEL', KEYS[1])
return 1
