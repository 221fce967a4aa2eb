-- include: event enqueue priority index cancel-request
-- What the last run left on a job and the next one must not inherit.
local END_LABELS = { 'verdict', 'score', 'rating', 'category' }

local function return_to_parent(base, id, state)
  local parent = redis.call('HGET', base .. id, 'parentKey')
  if not parent or redis.call('EXISTS', parent) == 0 then
    return
  end
  local child, waits = base .. id, false
  if state == 'failed' then
    waits = redis.call('ZREM', parent .. ':unsuccessful', child) == 1
      or redis.call('HDEL', parent .. ':failed', child) == 1
  else
    waits = redis.call('HDEL', parent .. ':processed', child) == 1
  end
  if waits then
    redis.call('SADD', parent .. ':dependencies', child)
  end
end

-- Put a finished job, already out of its state, back in line on the given side.
local function run_again(base, id, state, reset, side)
  local key = base .. id
  forget_reason(base, id)
  redis.call('HDEL', key, 'finishedOn', 'processedOn',
    state == 'failed' and 'failedReason' or 'returnvalue')
  if reset then
    redis.call('HDEL', key, 'atm', 'ats')
  end
  for _, name in ipairs(END_LABELS) do
    set_label(base, id, name, '')
  end
  withdraw_cancel(base, id)
  enqueue(base, id, priority_of(base, id), side)
  return_to_parent(base, id, state)
  trimmed_event(base, 'waiting', 'jobId', id, 'prev', state)
end
