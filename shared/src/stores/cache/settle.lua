-- Gives a lease back, or lets it live on, if it is still held; puts what was computed in the same step.
--
-- KEYS[1] the lease
-- KEYS[2] the entry
--
-- ARGV[1] who held the lease; '' if nobody did
-- ARGV[2] what becomes of it: 0, it is given back; 1, it lives on; 2, it says that there is nothing to wait for
-- ARGV[3] how long what becomes of it lives, in milliseconds
-- ARGV[4] if it is given, the entry
-- ARGV[5] how long the entry lives, in milliseconds
--
-- Returns 1 if the lease was still held

if ARGV[4] then
  redis.call('SET', KEYS[2], ARGV[4], 'PX', ARGV[5])
end
local holder = redis.pcall('GET', KEYS[1])
if type(holder) == 'table' or not holder or holder ~= ARGV[1] then
  return 0
end
if ARGV[2] == '0' then
  redis.call('DEL', KEYS[1])
elseif ARGV[2] == '1' then
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
else
  redis.call('SET', KEYS[1], '-', 'PX', ARGV[3])
end
return 1
