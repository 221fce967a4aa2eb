-- include: sdk
-- Reserve the next start of something that begins at most once in an interval, by the
-- server's clock. ARGV: name, interval in microseconds. Returns microseconds to wait.
local key = sdk(KEYS[1]) .. 'pace:' .. ARGV[1]
local interval = tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local start = math.max(now, tonumber(redis.call('GET', key)) or 0)
local wait = start - now
redis.call('SET', key, string.format('%.0f', start + interval),
  'PX', math.ceil((wait + interval) / 1000))
return wait
