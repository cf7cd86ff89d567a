-- Asks for the lease of an entry, and looks whether the entry has come meanwhile.
--
-- KEYS[1] the lease: who holds it, or '-' when there is nothing to wait for
-- KEYS[2] the entry
--
-- ARGV[1] who asks
-- ARGV[2] how long the lease lives by itself, in milliseconds
--
-- Returns {1 if it was granted, 0 if it is held, 2 if there is nothing to wait for; entry or false}

local entry = redis.pcall('GET', KEYS[2])
if type(entry) == 'table' then
  entry = ''
end
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then
  return { 1, entry }
end
local holder = redis.pcall('GET', KEYS[1])
if type(holder) == 'table' then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  return { 1, entry }
end
return { holder == '-' and 2 or 0, entry }
