-- include: admit event target wake count-up end-cancelled
-- Recover the jobs whose worker has gone. Answers their ids, or nil when another
-- worker checked within the interval.
-- ARGV: now interval_ms max_stalled_count
local base = KEYS[1]
local REASON = 'job stalled more than allowable limit'
local AT_ONCE = 5000

admit_when_full(base)
if redis.call('EXISTS', base .. 'stalled-check') == 1 then
  return false
end
redis.call('SET', base .. 'stalled-check', ARGV[1], 'PX', ARGV[2])
trim_events(base)

local function recover(id)
  local key = base .. id
  local stalls = count_up(base, id, 'stc')
  if stalls > tonumber(ARGV[3]) then
    local scheduler = redis.call('HGET', key, 'rjk')
    if not (scheduler and redis.call('ZSCORE', base .. 'repeat', scheduler)) then
      redis.call('HSET', key, 'defa', REASON)
    end
  end
  local list, open = target(base)
  redis.call('RPUSH', list, id)
  wake(base, open)
  trimmed_event(base, 'waiting', 'jobId', id, 'prev', 'active')
  trimmed_event(base, 'stalled', 'jobId', id)
end

local recovered = {}
local suspects = redis.call('SMEMBERS', base .. 'stalled')
redis.call('DEL', base .. 'stalled')
for _, id in ipairs(suspects) do
  if redis.call('EXISTS', base .. id .. ':lock') == 0
    and redis.call('LREM', base .. 'active', 1, id) == 1
    and redis.call('TYPE', base .. id).ok == 'hash'
    and not ended_by_cancel(base, id, tonumber(ARGV[1]), 'active') then
    recover(id)
    recovered[#recovered + 1] = id
  end
end
local active = redis.call('LRANGE', base .. 'active', 0, -1)
for first = 1, #active, AT_ONCE do
  redis.call('SADD', base .. 'stalled',
    unpack(active, first, math.min(first + AT_ONCE - 1, #active)))
end
return recovered
