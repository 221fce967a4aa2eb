-- include: admit armed event remove-job sweep
-- Delete jobs of one window of a state that are older than a cut.
-- ARGV: state (a key suffix), cut (ms), window size, window start, first window (1 or
-- 0), now. Returns the removed ids and how many of the window were passed over.
local base, state, cut = KEYS[1], ARGV[1], tonumber(ARGV[2])
local batch, offset, now = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[6])
admit_when_full(base)
local key = base .. state
local TIMES = {
  delayed = { 'processedOn', 'timestamp' },
  prioritized = { 'timestamp' },
  wait = { 'finishedOn', 'processedOn', 'timestamp' },
}
TIMES.paused, TIMES.active = TIMES.wait, TIMES.wait

local function is_old(id)
  for _, time in ipairs(redis.call('HMGET', base .. id, unpack(TIMES[state]))) do
    if time then
      return (tonumber(time) or 0) <= cut
    end
  end
  return true
end

local function wants(id)
  if state == 'active' and redis.call('EXISTS', base .. id .. ':lock') == 1 then
    return false
  end
  return is_old(id) and not is_armed(base, id)
end

local function remove(id)
  remove_job(base, id, true, now)
end

local removed, kept
if state == 'wait' or state == 'paused' or state == 'active' then
  removed, kept = sweep_list(key, offset, batch, wants, remove)
elseif state == 'delayed' or state == 'prioritized' then
  local ids = redis.call('ZRANGE', key, offset, offset + batch - 1)
  removed, kept = sweep_sorted(key, ids, wants, remove)
else
  local ids = redis.call('ZRANGEBYSCORE', key, 0, cut, 'LIMIT', offset, batch)
  removed, kept = sweep_sorted(key, ids, function() return true end, remove)
end
if #removed > 0 or ARGV[5] == '1' then
  event(base, 'cleaned', 'count', #removed)
end
return { removed, kept }
