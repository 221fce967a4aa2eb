local MAX_EVENTS = 10000
local max_events_of = {}

local function max_events(base)
  if not max_events_of[base] then
    local limit = redis.call('HGET', base .. 'meta', 'opts.maxLenEvents')
    if not limit then
      redis.call('HSET', base .. 'meta', 'opts.maxLenEvents', MAX_EVENTS)
    end
    max_events_of[base] = tonumber(limit) or MAX_EVENTS
  end
  return max_events_of[base]
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
