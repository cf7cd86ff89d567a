-- Looks an entry up, and what was invalidated of its owner's: in one call.
--
-- KEYS[1] the copy of the owner's generations, a hash: copy (when it was made, eight bytes in milliseconds, then the
--         generations), ticket
-- KEYS[2] if it is given, the entry. All keys of an owner's slot carry the same hash tag.
--
-- ARGV[1] now in milliseconds since the Unix epoch, or -1 for the server's own time
-- ARGV[2] copies that were made before this moment (milliseconds) count as absent
--
-- Returns {generations or false, ticket or false, entry or false}. Without generations there is a ticket: read them where
--         they are true, and install them under it.

local COPY_LIFE = 60000
local TICKET_LIFE = 120000

local now = tonumber(ARGV[1])
if now < 0 then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end

-- What lies there in another form is as good as absent.
local read = redis.pcall('HMGET', KEYS[1], 'copy', 'ticket')
if read.err then
  redis.call('DEL', KEYS[1])
  read = { false, false }
end
local copy, ticket = read[1], read[2]
local entry = false
if KEYS[2] then
  entry = redis.pcall('GET', KEYS[2])
  if type(entry) == 'table' then
    entry = ''
  end
end

if copy and #copy > 8 then
  local at = struct.unpack('>i8', copy)
  if at >= tonumber(ARGV[2]) and at > now - COPY_LIFE then
    return { string.sub(copy, 9), false, entry }
  end
end
if not ticket then
  -- A ticket is never given out twice, not even after the key has expired in between.
  local time = redis.call('TIME')
  ticket = time[1] .. '.' .. time[2]
  redis.call('HSET', KEYS[1], 'ticket', ticket)
  redis.call('PEXPIRE', KEYS[1], TICKET_LIFE)
end
return { false, ticket, entry }
