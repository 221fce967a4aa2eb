-- include: score
local function wake(base, open)
  if open then
    redis.call('ZADD', base .. 'marker', 0, '0')
  end
end

local function wake_delayed(base)
  local due = next_due(base)
  if due > 0 then
    redis.call('ZADD', base .. 'marker', due, '1')
  end
end
