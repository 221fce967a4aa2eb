-- include: join-lists
-- The list a ready job goes to, and whether workers may be woken for it.
local function target(base)
  local meta = redis.call('HMGET', base .. 'meta', 'paused', 'concurrency')
  if meta[1] then
    -- BullMQ 6 pauses without moving `wait`. A resume by BullMQ 5 renames `paused`
    -- over it: what is in `wait` must come along before `paused` exists.
    join_lists(base .. 'wait', base .. 'paused', JOIN_AT_ONCE)
    return base .. 'paused', false
  end
  local limit = tonumber(meta[2])
  if limit and redis.call('LLEN', base .. 'active') >= limit then
    return base .. 'wait', false
  end
  return base .. 'wait', true
end
