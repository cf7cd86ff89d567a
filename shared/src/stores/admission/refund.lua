-- Takes back what was counted, where it was counted: in the newest bucket or the one before it.
--
-- KEYS   one hash for each check, as in admit.lua
-- ARGV   three for each check: the bucket, the cost, 1 for the month or 0

for n = 1, #KEYS do
  local bucket, cost = tonumber(ARGV[n * 3 - 2]), tonumber(ARGV[n * 3 - 1])
  local stored = redis.call('HMGET', KEYS[n], 'i', 'q')
  local newest, previous = tonumber(stored[1]), tonumber(stored[2])
  if ARGV[n * 3] == '1' then
    if newest == bucket then
      redis.call('HINCRBY', KEYS[n], 'left', cost)
    end
  elseif newest and (bucket == newest or bucket == previous) then
    local slot = bucket % 61
    local back = math.min(cost, tonumber(redis.call('HGET', KEYS[n], slot)) or 0)
    if back > 0 and bucket > newest - 61 then
      redis.call('HINCRBY', KEYS[n], slot, -back)
      redis.call('HINCRBY', KEYS[n], 's', -back)
    end
  end
end
return 1
