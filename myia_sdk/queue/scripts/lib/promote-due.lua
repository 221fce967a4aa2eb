-- include: event target wake score priority
-- Bounded, so that a million jobs due at once do not hold the server.
local PROMOTE_AT_ONCE = 100

local function promote_due(base, now)
  local due = redis.call('ZRANGEBYSCORE', base .. 'delayed', 0,
    (now + 1) * DELAY_STEP - 1, 'LIMIT', 0, PROMOTE_AT_ONCE)
  if #due == 0 then
    return
  end
  redis.call('ZREM', base .. 'delayed', unpack(due))
  local list, open = target(base)
  for _, id in ipairs(due) do
    if redis.call('TYPE', base .. id).ok == 'hash' then
      local priority = priority_of(base, id)
      if priority > 0 then
        redis.call('ZADD', base .. 'prioritized', prioritized_score(base, priority), id)
      else
        redis.call('LPUSH', list, id)
      end
      trimmed_event(base, 'waiting', 'jobId', id, 'prev', 'delayed')
      redis.call('HSET', base .. id, 'delay', 0)
    end
  end
  wake(base, open)
end
