-- include: enqueue
-- Set when a delayed job is due. ARGV: id, delay (ms from now), now.
-- Returns 1, -1 job missing, -3 not delayed.
local base, id, delay = KEYS[1], ARGV[1], tonumber(ARGV[2])
if redis.call('EXISTS', base .. id) == 0 then
  return -1
end
if redis.call('ZREM', base .. 'delayed', id) == 0 then
  return -3
end
redis.call('HSET', base .. id, 'delay', delay)
enqueue_delayed(base, id, tonumber(ARGV[3]) + delay)
return 1
