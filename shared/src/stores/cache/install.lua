-- Installs a copy of an owner's generations, unless something was invalidated since the ticket was given out.
--
-- KEYS[1] the copy, as in look.lua
--
-- ARGV[1] the ticket
-- ARGV[2] now in milliseconds since the Unix epoch, or -1 for the server's own time
-- ARGV[3] the generations

local TICKET_LIFE = 120000

if redis.call('HGET', KEYS[1], 'ticket') ~= ARGV[1] then
  return 0
end
local now = tonumber(ARGV[2])
if now < 0 then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
redis.call('HSET', KEYS[1], 'copy', struct.pack('>i8', now) .. ARGV[3])
redis.call('PEXPIRE', KEYS[1], TICKET_LIFE)
return 1
