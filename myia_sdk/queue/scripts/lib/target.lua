-- The list a ready job goes to, and whether workers may be woken for it.
local function target(base)
  local meta = redis.call('HMGET', base .. 'meta', 'paused', 'concurrency')
  if meta[1] then
    -- BullMQ 6 pauses without moving `wait`, and a resume by BullMQ 5 renames `paused`
    -- over it: with `wait` filled, `paused` must not come into being.
    if redis.call('EXISTS', base .. 'wait') == 1
      and redis.call('EXISTS', base .. 'paused') == 0 then
      return base .. 'wait', false
    end
    return base .. 'paused', false
  end
  local limit = tonumber(meta[2])
  if limit and redis.call('LLEN', base .. 'active') >= limit then
    return base .. 'wait', false
  end
  return base .. 'wait', true
end
