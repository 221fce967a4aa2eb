-- include: cancel-request event index options parent postponed retain
-- End a job, already out of its place, that someone cancelled.
local function end_cancelled(base, id, reason, now, prev)
  local key = base .. id
  redis.call('HSET', key, 'failedReason', reason)
  withdraw_cancel(base, id)
  dedup_finish(base, id, now)
  child_failed(base, id, reason, now)
  local retention = retention_of(options_of(base, id).removeOnFail, '', '')
  if retention.count == 0 then
    detach(base, id, now)
    delete_job(base, id)
  else
    redis.call('ZADD', base .. 'failed', now, id)
    redis.call('HSET', key, 'finishedOn', now)
    redis.call('HDEL', key, 'defa')
    set_label(base, id, 'category', 'CANCELLED')
    index_reason(base, id, reason)
    retain(base, 'failed', retention, now)
  end
  event(base, 'failed', 'jobId', id, 'failedReason', reason, 'prev', prev)
end

-- A job that is out of its place, and was to run again, ends when someone cancelled
-- the run before.
local function ended_by_cancel(base, id, now, prev)
  local reason = cancel_reason(base, id)
  if not reason then
    return false
  end
  end_cancelled(base, id, reason, now, prev)
  return true
end
