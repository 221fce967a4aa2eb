-- include: sdk admit event leave-active options retain postponed parent metrics index count-up cancel-request
-- End a job: completed with a value or failed with a reason. Answers {code, deleted}:
-- 0, -1 job missing, -2 no lease, -3 not active, -4 unfinished children, -6 lease of
-- another worker, -9 failed children.
-- ARGV: id token now state value stacktrace keep_count keep_age_s metrics_points,
--       then pairs of label name and value
local RECEIPT_S = 300
local base, id, token = KEYS[1], ARGV[1], ARGV[2]
local now, state, value = tonumber(ARGV[3]), ARGV[4], ARGV[5]
local key = base .. id
local is_failed = state == 'failed'

admit_when_full(base)

-- The same end may be sent twice, when its first answer was lost on the way.
local receipt = sdk(base) .. 'ended:' .. id
local function is_resent()
  return redis.call('GET', receipt) == state .. ' ' .. token
end

if redis.call('EXISTS', key) == 0 then
  return { is_resent() and 0 or -1, 0 }
end
if not is_failed then
  if redis.call('SCARD', key .. ':dependencies') ~= 0 then
    return { -4, 0 }
  end
  if redis.call('ZCARD', key .. ':unsuccessful') ~= 0 then
    return { -9, 0 }
  end
end
local refused = leave_active(base, id, token)
if refused ~= 0 then
  return { refused == -2 and is_resent() and 0 or refused, 0 }
end
if is_failed then
  redis.call('HSET', key, 'failedReason', value, 'stacktrace', ARGV[6])
end
trim_events(base)
dedup_finish(base, id, now)
withdraw_cancel(base, id)
if is_failed then
  child_failed(base, id, value, now)
else
  child_completed(base, id, value, now)
end
local attempts_made = count_up(base, id, 'atm')

local options = options_of(base, id)
local said = options.removeOnComplete
if is_failed then
  said = options.removeOnFail
end
local retention = retention_of(said, ARGV[7], ARGV[8])
local deleted = retention.count == 0
if deleted then
  detach(base, id, now)
  delete_job(base, id)
else
  for i = 10, #ARGV, 2 do
    set_label(base, id, ARGV[i], ARGV[i + 1])
  end
  redis.call('ZADD', base .. state, now, id)
  redis.call('HSET', key, is_failed and 'failedReason' or 'returnvalue', value,
    'finishedOn', now)
  if is_failed then
    redis.call('HDEL', key, 'defa')
    index_reason(base, id, value)
  end
  retain(base, state, retention, now)
end

if is_failed then
  event(base, 'failed', 'jobId', id, 'failedReason', value, 'prev', 'active')
  if attempts_made >= (tonumber(options.attempts) or 0) then
    event(base, 'retries-exhausted', 'jobId', id, 'attemptsMade', attempts_made)
  end
else
  event(base, 'completed', 'jobId', id, 'returnvalue', value, 'prev', 'active')
end
count_metric(base, state, now, tonumber(ARGV[9]) or 0)
if redis.call('LLEN', base .. 'wait') == 0 and redis.call('LLEN', base .. 'active') == 0
  and redis.call('ZCARD', base .. 'prioritized') == 0 then
  event(base, 'drained')
end
redis.call('SET', receipt, state .. ' ' .. token, 'EX', RECEIPT_S)
return { 0, deleted and 1 or 0 }
