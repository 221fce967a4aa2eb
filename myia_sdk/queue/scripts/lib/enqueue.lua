-- include: event target wake score
-- Put a job in line. side: LPUSH is the back of the line, RPUSH makes it the next.
local function enqueue(base, id, priority, side)
  local list, open = target(base)
  if priority > 0 then
    redis.call('ZADD', base .. 'prioritized', prioritized_score(base, priority), id)
  else
    redis.call(side, list, id)
  end
  wake(base, open)
end

-- Put a job at the very front of its class.
local function enqueue_first(base, id, priority)
  if priority > 0 then
    redis.call('ZADD', base .. 'prioritized', priority * PRIORITY_STEP, id)
  else
    local list, open = target(base)
    redis.call('RPUSH', list, id)
    wake(base, open)
  end
end

local function enqueue_delayed(base, id, due)
  redis.call('ZADD', base .. 'delayed', delayed_score(base, due), id)
  trimmed_event(base, 'delayed', 'jobId', id, 'delay', due)
  wake_delayed(base)
end
