-- Decides one request, and counts it if everything is open: all or nothing, in one call.
--
-- Numbers travel and are kept packed, eight bytes each (struct's '>i8'): to write and read them as text took longer than to
-- decide. They are exact up to 2^53.
--
-- KEYS[1]   the copy of the subject's standing, a hash: copy (when it was made, then the text of ARGV[6]), gen
-- KEYS[2..] one hash for each check, in the order of the checks. All keys carry the subject as hash tag.
--             of a sliding window: w (the newest bucket, what was counted in it, what counts of all older ones as of then, the
--                                  bucket before it or -1, the resets), 0..60 the older buckets by index mod 61
--             of the month:        w (the month, what is leased and not spent, what the month has lost in all, the resets), and
--                                  by its number each month of which something can no more be spent, with how much
--           What was counted under another number of resets than the standing has counts as absent.
--
-- ARGV[1]   numbers: now in milliseconds since the Unix epoch, or -1 for the server's own time; copies that were made before
--           this moment (milliseconds) count as absent; 1 to count, 0 to look only; how often the windows were reset, where
--           no credential is to be proven; then five for each check: limit, cost, seconds of the window (0: the month), 1 to
--           enforce or 0 for shadow mode, the month
-- ARGV[2]   what the copy has to begin with: the epoch and 1 for active, a space behind each; or '' when no credential is to
--           be proven
-- ARGV[3]   the session in its short form between spaces, or '' for a key
-- ARGV[4]   numbers of a lease: the check that it is for, the block just leased or -1 when too little is left, what the month
--           has lost in all, the month; or ''
-- ARGV[5]   if it is given, the ticket under which ARGV[6] may be installed as the copy
-- ARGV[6]   epoch, 1 if active, how often the windows were reset, the live sessions, a space behind each
--
-- Returns   {'doubt', ticket}  the copy is absent, old, or not as the caller says: read the standing and ask again
--           {'lease', n, lacking}  check n needs so much more of the month than is leased; what ARGV leased is taken in
--           or numbers: 1 if admitted, now, then five for each check: what counts (with the request if it was counted), the
--           bucket, the newest bucket that counts (-1: none), the bucket whose leaving would admit (-1: none), and of the
--           month what is leased and not spent

local COPY_LIFE = 60000
local TICKET_LIFE = 120000
local MONTH_LIFE = 5356800000

-- A local is quicker to reach than a global.
local call, pack, numbers, floor, max = redis.call, struct.pack, struct.unpack, math.floor, math.max
local KEYS, ARGV = KEYS, ARGV

local now, trusted_since, counts, resets, place = numbers('>i8i8i8i8', ARGV[1])
counts = counts == 1
if now < 0 then
  local time = call('TIME')
  now = time[1] * 1000 + floor(time[2] / 1000)
end

local known = ARGV[2]
if known ~= '' then
  local copy, is_new = call('HGET', KEYS[1], 'copy'), false
  if ARGV[5] and ARGV[5] == (call('HGET', KEYS[1], 'gen') or '0') then
    copy = pack('>i8', now) .. ARGV[6]
    call('HSET', KEYS[1], 'copy', copy)
    is_new = true
    call('PEXPIRE', KEYS[1], TICKET_LIFE)
  end
  local at = copy and numbers('>i8', copy)
  -- One made in this call holds, whatever the clock of the node that trusted_since came from says.
  local holds = at and (is_new or at >= trusted_since and at > now - COPY_LIFE)
    and string.sub(copy, 9, 8 + #known) == known
    and (ARGV[3] == '' or string.find(copy, ARGV[3], 8 + #known, true))
  if not holds then
    if ARGV[4] ~= '' then
      -- Nobody can say what the block may be spent on now, so nobody spends it.
      local of_check, block, _, of = numbers('>i8i8i8i8', ARGV[4])
      if block > 0 then
        call('HINCRBY', KEYS[of_check + 1], of, block)
        call('PEXPIRE', KEYS[of_check + 1], MONTH_LIFE)
      end
    end
    return { 'doubt', call('HGET', KEYS[1], 'gen') or '0' }
  end
  resets = tonumber(string.match(copy, '^%d+', 9 + #known))
end

local checks = #KEYS - 1
local refused, lacking, lacks = false, nil, nil
-- What is answered: whether the request is admitted, the time, and five numbers for each check. Here and below there is
-- room for four checks from the beginning; for more, the tables grow.
local answer = { 1, now, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }
-- What is written for each check if the request is counted: of a sliding window its newest bucket so far, what was counted in
-- it, what counts of the older ones, the bucket before, and the slots that it moves past; of the month, what it has lost.
local newest, latest, older, previous = { 0, 0, 0, 0 }, { 0, 0, 0, 0 }, { 0, 0, 0, 0 }, { 0, 0, 0, 0 }
local gone, total = {}, {}
-- The month that was stored, and what of it nobody can spend any more once this is written.
local ended, rests = {}, {}

-- Keeps what is left of a month that nobody can spend any more, for whoever closes it.
local function keep(key, before, rest)
  if rest > 0 then
    call('HINCRBY', key, before, rest)
  end
end

-- Both put four of the five numbers into the answer, and return what counts and whether the request fits; the month, too, how
-- much of it is to be leased.

local function month(n, key, base, limit, cost, enforce, bucket)
  local current, left, lost = bucket, 0, 0
  local before, rest, is_void = bucket, 0, false
  local stored = call('HGET', key, 'w')
  if stored then
    local of
    current, left, lost, of = numbers('>i8i8i8i8', stored)
    before, rest, is_void = current, left, of ~= resets
    if is_void then
      current, left, lost = bucket, 0, 0
    end
  end
  if bucket > current then
    current, left, lost = bucket, 0, 0
  end
  local exhausted = false
  if ARGV[4] ~= '' then
    local of_check, block, taken, of = numbers('>i8i8i8i8', ARGV[4])
    if of_check == n then
      if of > current then
        current, left, lost = of, 0, 0
      end
      if of < current and block > 0 then
        -- The month has ended meanwhile, so nobody spends the block.
        call('HINCRBY', key, of, block)
        call('PEXPIRE', key, MONTH_LIFE)
      elseif of == current then
        exhausted = block < 0
        left = left + max(block, 0)
        lost = max(lost, taken)
        if is_void or before < current then
          keep(key, before, rest)
        end
        rest = 0
        call('HSET', key, 'w', pack('>i8i8i8i8', current, left, lost, resets))
        call('PEXPIRE', key, MONTH_LIFE)
      end
    end
  end
  if not is_void and before >= current then
    rest = 0
  end
  total[n], ended[n], rests[n] = lost, before, rest
  local used, missing = lost - left, cost - left
  local asks = counts and missing > 0 and not exhausted and (cost <= limit or not enforce)
  answer[base + 1] = current
  answer[base + 2] = used > 0 and current or -1
  answer[base + 3] = cost <= limit and current or -1
  answer[base + 4] = left
  -- What was leased under a larger limit is not spent under a smaller one.
  return used, asks or missing <= 0 and used + cost <= limit, asks and missing or nil
end

local function sliding(n, key, base, limit, cost, seconds)
  local bucket = floor(now * 60 / (seconds * 1000))
  local stored = call('HGET', key, 'w')
  local before, count, past, of = nil, 0, 0, nil
  if stored then
    before, count, past, previous[n], of = numbers('>i8i8i8i8i8', stored)
  end
  if of ~= resets then
    -- What is counted next begins the window anew.
    before, count, past, previous[n] = nil, 0, 0, -1
  else
    newest[n], latest[n] = before, count
    bucket = max(bucket, before)
    if bucket - before > 60 then
      count, past = 0, 0
    elseif bucket > before then
      local slots = {}
      for index = before - 60, bucket - 61 do
        slots[#slots + 1] = index % 61
      end
      local values = call('HMGET', key, unpack(slots))
      for index = 1, #slots do
        past = past - (tonumber(values[index]) or 0)
      end
      gone[n] = slots
    end
  end
  older[n] = past
  local used, freeing = past + count, -1
  local fits = used + cost <= limit
  if not fits and cost <= limit and before then
    local slots = {}
    for index = bucket - 60, before - 1 do
      slots[#slots + 1] = index % 61
    end
    local values, freed = #slots > 0 and call('HMGET', key, unpack(slots)) or {}, 0
    values[#slots + 1] = count
    for index = 1, #slots + 1 do
      freed = freed + (tonumber(values[index]) or 0)
      if freed >= used + cost - limit then
        freeing = bucket - 61 + index
        break
      end
    end
  end
  answer[base + 1] = bucket
  answer[base + 2] = used > 0 and before or -1
  answer[base + 3] = freeing
  answer[base + 4] = 0
  return used, fits
end

local costs, lengths = { 0, 0, 0, 0 }, { 0, 0, 0, 0 }
for n = 1, checks do
  local base = n * 5 - 2
  local limit, cost, seconds, enforce, bucket
  limit, cost, seconds, enforce, bucket, place = numbers('>i8i8i8i8i8', ARGV[1], place)
  costs[n], lengths[n] = cost, seconds
  local fits, missing
  if seconds == 0 then
    answer[base], fits, missing = month(n, KEYS[n + 1], base, limit, cost, enforce == 1, bucket)
  else
    answer[base], fits = sliding(n, KEYS[n + 1], base, limit, cost, seconds)
  end
  refused = refused or enforce == 1 and not fits
  if missing then
    lacking, lacks = n, missing
  end
end

if refused then
  answer[1] = 0
elseif lacking then
  return { 'lease', lacking, lacks }
elseif counts then
  for n = 1, checks do
    local base, key, cost = n * 5 - 2, KEYS[n + 1], costs[n]
    local bucket = answer[base + 1]
    if lengths[n] == 0 then
      if cost > 0 then
        keep(key, ended[n], rests[n])
        call('HSET', key, 'w', pack('>i8i8i8i8', bucket, answer[base + 4] - cost, total[n], resets))
      end
    elseif newest[n] == bucket then
      call('HSET', key, 'w', pack('>i8i8i8i8i8', bucket, latest[n] + cost, older[n], previous[n], resets))
    else
      if gone[n] then
        call('HDEL', key, unpack(gone[n]))
        call('HSET', key, newest[n] % 61, latest[n])
      else
        call('DEL', key)
      end
      call('HSET', key, 'w', pack('>i8i8i8i8i8', bucket, cost, answer[base], newest[n] or -1, resets))
      call('PEXPIRE', key, math.ceil(lengths[n] * 1000 * 61 / 60) + 1000)
    end
    answer[base] = answer[base] + cost
    answer[base + 2] = bucket
  end
end
return pack('>' .. string.rep('i8', #answer), unpack(answer))
