-- The generic cell rate algorithm on one key: the least that a limiter on a server asks of it, to measure others against.
-- (ITU-T I.371, appendix 1; the virtual scheduling form, in microseconds.)
--
-- KEYS[1]   the theoretical arrival time of the next request
-- ARGV[1]   the burst, ARGV[2] the microseconds between two requests, ARGV[3] the cost
--
-- Returns   {1 if admitted, what is left of the burst, milliseconds until it would be admitted (-1: now),
--            milliseconds until the burst is whole}

local burst, interval, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])

local arrival = math.max(tonumber(redis.call('GET', KEYS[1])) or now, now)
local next_arrival = arrival + interval * cost
local early = next_arrival - burst * interval - now
if early > 0 then
  return { 0, math.floor((now + burst * interval - arrival) / interval), math.ceil(early / 1000),
    math.ceil((arrival - now) / 1000) }
end
local whole_in = math.ceil((next_arrival - now) / 1000)
redis.call('SET', KEYS[1], string.format('%.0f', next_arrival), 'PX', whole_in)
return { 1, math.floor(-early / interval), -1, whole_in }
