-- include: event enqueue priority
-- Put one delayed job in line now. ARGV: id. Returns 1, -1 missing, -3 not delayed.
local base, id = KEYS[1], ARGV[1]
if redis.call('EXISTS', base .. id) == 0 then
  return -1
end
if redis.call('ZREM', base .. 'delayed', id) == 0 then
  return -3
end
enqueue(base, id, priority_of(base, id), 'LPUSH')
event(base, 'waiting', 'jobId', id, 'prev', 'delayed')
redis.call('HSET', base .. id, 'delay', 0)
return 1
