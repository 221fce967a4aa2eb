-- include: admit event promote-due score count-up end-cancelled sdk wake
-- Give the next job to a worker. Answers {id or '', next due ms, limited for ms,
-- ids dropped, hash fields...}.
-- ARGV: now token lease_ms worker limit_max limit_duration_ms
local base = KEYS[1]
local now, token, lease = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3])
local worker = ARGV[4]
-- What one call may pass over, in ids without a job; ending a job costs as much as ten.
local PASS_AT_ONCE, ENDING = 500, 10

admit_when_full(base)

local function answer_with(id, dropped)
  local answer = { id, 0, 0, dropped }
  for _, part in ipairs(redis.call('HGETALL', base .. id)) do
    answer[#answer + 1] = part
  end
  return answer
end

-- The same question may be sent twice, when its first answer was lost on the way: a
-- second job would be nobody's until its lease ran out.
local receipt = sdk(base) .. 'claimed:' .. worker
local last = worker ~= '' and redis.call('GET', receipt)
if last and last:sub(1, #token + 1) == token .. ' ' then
  local id = last:sub(#token + 2)
  if redis.call('GET', base .. id .. ':lock') == token then
    return answer_with(id, 0)
  end
end

local meta = redis.call('HMGET', base .. 'meta', 'paused', 'concurrency', 'max',
  'duration')
local maximum = tonumber(meta[3]) or tonumber(ARGV[5])
local window = tonumber(ARGV[6]) or tonumber(meta[4])
promote_due(base, now)

local function limited_for()
  local counter = base .. 'limiter'
  if not maximum or (tonumber(redis.call('GET', counter)) or 0) < maximum then
    return 0
  end
  local ttl = redis.call('PTTL', counter)
  if ttl == 0 then
    redis.call('DEL', counter)
  end
  return math.max(ttl, 0)
end

local limited = limited_for()
if limited > 0 then
  return { '', 0, limited, 0 }
end
local concurrency = tonumber(meta[2])
if meta[1] or (concurrency and redis.call('LLEN', base .. 'active') >= concurrency) then
  return { '', 0, 0, 0 }
end

local function next_in_line()
  local id = redis.call('RPOPLPUSH', base .. 'wait', base .. 'active')
  if id then
    return id
  end
  id = redis.call('ZPOPMIN', base .. 'prioritized')[1]
  if id then
    redis.call('LPUSH', base .. 'active', id)
  else
    redis.call('DEL', base .. 'pc')
  end
  return id
end

-- Ids without a hash (and the '0:' markers of old versions) are dropped: running
-- them would leave ghosts. Jobs that were cancelled in a run which another client's
-- stalled check ended go no further.
local function take()
  local dropped, passed = 0, 0
  while passed < PASS_AT_ONCE do
    local id = next_in_line()
    local exists = id and redis.call('TYPE', base .. id).ok == 'hash'
    if not id or (exists and not cancel_reason(base, id)) then
      return id, dropped
    end
    redis.call('LREM', base .. 'active', 1, id)
    if exists then
      ended_by_cancel(base, id, now, 'waiting')
      passed = passed + ENDING
    else
      dropped, passed = dropped + 1, passed + 1
    end
  end
  wake(base, true)
  return nil, dropped
end

local id, dropped = take()
if not id then
  return { '', next_due(base), 0, dropped }
end
if maximum then
  if redis.call('INCR', base .. 'limiter') == 1 and window then
    redis.call('PEXPIRE', base .. 'limiter', math.floor(window))
  end
end
redis.call('SET', base .. id .. ':lock', token, 'PX', lease)
event(base, 'active', 'jobId', id, 'prev', 'waiting')
redis.call('HSET', base .. id, 'processedOn', now)
if worker ~= '' then
  redis.call('HSET', base .. id, 'pb', worker)
  redis.call('SET', receipt, token .. ' ' .. id, 'PX', lease)
end
count_up(base, id, 'ats')
redis.call('ZADD', base .. 'marker', 0, '0')
return answer_with(id, dropped)
