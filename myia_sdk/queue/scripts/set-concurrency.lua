-- include: target wake
-- Set how many jobs of the queue may run at once; wake workers for places gained.
-- ARGV: the limit, or empty for none.
local base = KEYS[1]
if ARGV[1] == '' then
  redis.call('HDEL', base .. 'meta', 'concurrency')
else
  redis.call('HSET', base .. 'meta', 'concurrency', ARGV[1])
end
local _, open = target(base)
if redis.call('EXISTS', base .. 'wait', base .. 'prioritized') > 0 then
  wake(base, open)
end
return 1
