-- Decides one request, and counts it if everything is open: all or nothing, in one call.
--
-- KEYS[1]   the copy of the subject's standing, a hash: at, ep, act, live, gen
-- KEYS[2..] one hash for each check, in the order of the checks. All keys carry the subject as hash tag.
--             of a sliding window: i newest bucket, q the one before it, s what counts as of i, 0..60 the buckets by index mod 61
--             of the month:        i the month, left what is leased and not spent, total what the month has lost in all
--
-- ARGV[1]   now in milliseconds since the Unix epoch, or '' for the server's own time
-- ARGV[2]   the epoch that the caller knows, or '' when no credential is to be proven
-- ARGV[3]   the session in its short form, or '' for a key
-- ARGV[4]   copies that were made before this moment (milliseconds) count as absent
-- ARGV[5]   the ticket under which ARGV[6..8] may be installed as the copy, or ''
-- ARGV[6]   epoch, ARGV[7] 1 if active, ARGV[8] the live sessions, each between spaces
-- ARGV[9]   1 to count, 0 to look only
-- ARGV[10..] six for each check: limit, cost, seconds of the window (0: the month), 1 to enforce or 0 for shadow mode,
--           the month, and of the month 'block:total:month' just leased, 'x:total:month' when too little is left, or ''
--
-- Returns   {'doubt', ticket}  the copy is absent, old, or not as the caller says: read the standing and ask again
--           {'lease', n, lacking}  check n needs so much more of the month than is leased; what ARGV leased is taken in
--           {'ok' or 'no', now, then five for each check: what counts (with the request if it was counted), the bucket,
--            the newest bucket that counts (-1: none), the bucket whose leaving would admit (-1: none), and of the month
--            what is leased and not spent}

local COPY_LIFE = 60000
local TICKET_LIFE = 120000

local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

if ARGV[2] ~= '' then
  local copy = redis.call('HMGET', KEYS[1], 'at', 'ep', 'act', 'live', 'gen')
  local gen = copy[5] or '0'
  if ARGV[5] ~= '' and ARGV[5] == gen then
    redis.call('HSET', KEYS[1], 'at', now, 'ep', ARGV[6], 'act', ARGV[7], 'live', ARGV[8])
    redis.call('PEXPIRE', KEYS[1], TICKET_LIFE)
    -- Made in this call, whatever the clock of the node that ARGV[4] came from says.
    copy = { math.max(now, tonumber(ARGV[4])), ARGV[6], ARGV[7], ARGV[8] }
  end
  local at = tonumber(copy[1])
  local holds = at and at >= tonumber(ARGV[4]) and at > now - COPY_LIFE
    and copy[2] == ARGV[2] and copy[3] == '1'
    and (ARGV[3] == '' or string.find(copy[4], ' ' .. ARGV[3] .. ' ', 1, true))
  if not holds then
    return { 'doubt', gen }
  end
end

local checks = #KEYS - 1
local counts = ARGV[9] == '1'
local plans, refused, lacking = {}, false, nil

local function month(key, limit, cost, enforce, bucket, lease)
  local stored = redis.call('HMGET', key, 'i', 'left', 'total')
  local current, left, total = tonumber(stored[1]), tonumber(stored[2]), tonumber(stored[3])
  local function begin(later)
    if not current or later > current then
      current, left, total = later, 0, 0
    end
  end
  begin(bucket)
  local exhausted = false
  if lease ~= '' then
    local block, taken, of = string.match(lease, '^(.-):(.-):(.*)$')
    begin(tonumber(of))
    -- A block of a month that has ended meanwhile is lost.
    if tonumber(of) == current then
      if block == 'x' then
        exhausted = true
      else
        left = left + tonumber(block)
      end
      total = math.max(total, tonumber(taken))
      redis.call('HSET', key, 'i', current, 'left', left, 'total', total)
      redis.call('PEXPIRE', key, 5356800000)
    end
  end
  local used, lacking = total - left, cost - left
  local asks = counts and lacking > 0 and not exhausted and (cost <= limit or not enforce)
  return { kind = 'month', used = used, bucket = current, lacking = asks and lacking or nil,
    -- What was leased under a larger limit is not spent under a smaller one.
    fits = asks or lacking <= 0 and used + cost <= limit,
    newest = used > 0 and current or -1, freeing = cost <= limit and current or -1, left = left }
end

local function sliding(key, limit, cost, seconds)
  local length = seconds * 1000
  local bucket = math.floor(now * 60 / length)
  local stored = redis.call('HMGET', key, 'i', 's')
  local newest, used = tonumber(stored[1]), tonumber(stored[2]) or 0
  local gone = {}
  if newest then
    bucket = math.max(bucket, newest)
    if bucket - newest > 60 then
      used = 0
    elseif bucket > newest then
      for index = newest - 60, bucket - 61 do
        gone[#gone + 1] = index % 61
      end
      local values = redis.call('HMGET', key, unpack(gone))
      for index = 1, #gone do
        used = used - (tonumber(values[index]) or 0)
      end
    end
  end
  local plan = { kind = 'sliding', used = used, bucket = bucket, fits = used + cost <= limit, before = newest, gone = gone,
    length = length, newest = used > 0 and newest or -1, freeing = -1 }
  if not plan.fits and cost <= limit and newest then
    local slots = {}
    for index = bucket - 60, newest do
      slots[#slots + 1] = index % 61
    end
    local values, freed = redis.call('HMGET', key, unpack(slots)), 0
    for index = 1, #slots do
      freed = freed + (tonumber(values[index]) or 0)
      if freed >= used + cost - limit then
        plan.freeing = bucket - 61 + index
        break
      end
    end
  end
  return plan
end

for n = 1, checks do
  local base = 10 + (n - 1) * 6
  local limit, cost, seconds = tonumber(ARGV[base]), tonumber(ARGV[base + 1]), tonumber(ARGV[base + 2])
  local enforce = ARGV[base + 3] == '1'
  local plan
  if seconds == 0 then
    plan = month(KEYS[n + 1], limit, cost, enforce, tonumber(ARGV[base + 4]), ARGV[base + 5])
  else
    plan = sliding(KEYS[n + 1], limit, cost, seconds)
  end
  refused = refused or enforce and not plan.fits
  if plan.lacking then
    lacking = n
  end
  plan.cost = cost
  plans[n] = plan
end

if lacking and not refused then
  return { 'lease', lacking, plans[lacking].lacking }
end

local answer = { refused and 'no' or 'ok', now }
for n = 1, checks do
  local plan, key = plans[n], KEYS[n + 1]
  if not refused and counts then
    if plan.kind == 'month' then
      redis.call('HINCRBY', key, 'left', -plan.cost)
    elseif plan.before == plan.bucket then
      redis.call('HINCRBY', key, plan.bucket % 61, plan.cost)
      redis.call('HINCRBY', key, 's', plan.cost)
    else
      if plan.before and plan.bucket - plan.before > 60 then
        redis.call('DEL', key)
      elseif #plan.gone > 0 then
        redis.call('HDEL', key, unpack(plan.gone))
      end
      redis.call('HSET', key, 'i', plan.bucket, 's', plan.used + plan.cost, plan.bucket % 61, plan.cost)
      if plan.before then
        redis.call('HSET', key, 'q', plan.before)
      end
      redis.call('PEXPIRE', key, math.ceil(plan.length * 61 / 60) + 1000)
    end
    plan.used = plan.used + plan.cost
    plan.newest = plan.bucket
  end
  answer[#answer + 1] = plan.used
  answer[#answer + 1] = plan.bucket
  answer[#answer + 1] = plan.newest
  answer[#answer + 1] = plan.freeing
  answer[#answer + 1] = plan.left or 0
end
return answer
