local function max_events(base)
  local limit = redis.call('HGET', base .. 'meta', 'opts.maxLenEvents')
  if not limit then
    redis.call('HSET', base .. 'meta', 'opts.maxLenEvents', 10000)
  end
  return tonumber(limit) or 10000
end

-- Events are news: a broken stream must not stop the queue, hence pcall.
local function event(base, name, ...)
  redis.pcall('XADD', base .. 'events', '*', 'event', name, ...)
end

local function trimmed_event(base, name, ...)
  redis.pcall('XADD', base .. 'events', 'MAXLEN', '~', max_events(base), '*',
    'event', name, ...)
end

local function trim_events(base)
  redis.pcall('XTRIM', base .. 'events', 'MAXLEN', '~', max_events(base))
end
