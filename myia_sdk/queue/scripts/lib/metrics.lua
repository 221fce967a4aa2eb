-- Jobs finished per minute, newest first, as BullMQ's charts read them.
local MINUTE = 60000

local function count_metric(base, state, now, points)
  if points <= 0 then
    return
  end
  local key = base .. 'metrics:' .. state
  local count = redis.call('HINCRBY', key, 'count', 1) - 1
  local seen = redis.call('HMGET', key, 'prevTS', 'prevCount')
  local before = tonumber(seen[1])
  if not before then
    redis.call('HSET', key, 'prevTS', now, 'prevCount', 0)
    return
  end
  local minutes = math.min(math.floor(now / MINUTE) - math.floor(before / MINUTE), points)
  if minutes <= 0 then
    return
  end
  local values = { count - (tonumber(seen[2]) or 0) }
  for i = 2, minutes do
    values[i] = 0
  end
  for first = 1, minutes, 5000 do
    redis.call('LPUSH', key .. ':data',
      unpack(values, first, math.min(first + 4999, minutes)))
  end
  redis.call('LTRIM', key .. ':data', 0, points - 1)
  redis.call('HSET', key, 'prevCount', count, 'prevTS', now)
end
