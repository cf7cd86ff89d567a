-- Takes back what was counted, where it was counted: in the newest bucket or the one before it.
--
-- KEYS   one hash for each check, as in admit.lua
-- ARGV   three for each check: the bucket, the cost, 1 for the month or 0

for n = 1, #KEYS do
  local key, bucket, cost = KEYS[n], tonumber(ARGV[n * 3 - 2]), tonumber(ARGV[n * 3 - 1])
  local stored = redis.call('HGET', key, 'w')
  if stored and ARGV[n * 3] == '1' then
    local current, left, total, resets = struct.unpack('>i8i8i8i8', stored)
    if current == bucket then
      redis.call('HSET', key, 'w', struct.pack('>i8i8i8i8', current, left + cost, total, resets))
    end
  elseif stored then
    local newest, latest, older, previous, resets = struct.unpack('>i8i8i8i8i8', stored)
    if bucket == newest then
      local back = math.min(cost, latest)
      redis.call('HSET', key, 'w', struct.pack('>i8i8i8i8i8', newest, latest - back, older, previous, resets))
    elseif bucket == previous and bucket > newest - 61 then
      local slot = bucket % 61
      local back = math.min(cost, tonumber(redis.call('HGET', key, slot)) or 0)
      redis.call('HINCRBY', key, slot, -back)
      redis.call('HSET', key, 'w', struct.pack('>i8i8i8i8i8', newest, latest, older - back, previous, resets))
    end
  end
end
return 1
