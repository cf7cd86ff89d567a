-- Begins a month that no request has begun yet, and tells what was never spent of those before. What is told of a month stays
-- the same, however often it is asked for.
--
-- KEYS[1]  the month's hash, as in admit.lua
-- ARGV[1]  numbers, packed as there: the month, how many months are remembered with it
--
-- Returns  numbers, packed as there: of each month that is known to have left something, the month and what was left

local month, kept = struct.unpack('>i8i8', ARGV[1])
local stored = redis.call('HGET', KEYS[1], 'w')
if stored then
  local current, left, _, resets = struct.unpack('>i8i8i8i8', stored)
  if current < month then
    redis.call('HSET', KEYS[1], 'w', struct.pack('>i8i8i8i8', month, 0, 0, resets))
    if left > 0 then
      redis.call('HINCRBY', KEYS[1], current, left)
    end
  end
end
local rests = {}
local fields = redis.call('HGETALL', KEYS[1])
for index = 1, #fields, 2 do
  local of = tonumber(fields[index])
  if of and of <= month - kept then
    redis.call('HDEL', KEYS[1], of)
  elseif of and of < month then
    rests[#rests + 1] = struct.pack('>i8i8', of, tonumber(fields[index + 1]))
  end
end
return table.concat(rests)
