-- include: sdk
-- Requests to stop running jobs, read by the consumers. Each names its run by the time
-- it started: a later run, also one that another client began, is not stopped by it.
-- The whole hash expires a day after the last request.
local CANCEL_KEPT_S = 86400

local function run_of(base, id)
  return redis.call('HGET', base .. id, 'processedOn') or ''
end

local function request_cancel(base, id, reason)
  redis.call('HSET', sdk(base) .. 'cancel', id, run_of(base, id) .. ' ' .. reason)
  redis.call('EXPIRE', sdk(base) .. 'cancel', CANCEL_KEPT_S)
end

local function withdraw_cancel(base, id)
  redis.call('HDEL', sdk(base) .. 'cancel', id)
end

-- Why the job is to be stopped; nil when nobody asked, or asked for an earlier run.
local function cancel_reason(base, id)
  local asked = redis.call('HGET', sdk(base) .. 'cancel', id)
  if not asked then
    return nil
  end
  local run, reason = asked:match('^(%S*) (.*)$')
  if run == run_of(base, id) then
    return reason
  end
  withdraw_cancel(base, id)
end
