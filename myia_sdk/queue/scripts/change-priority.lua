-- include: enqueue take-from-list
-- Move a job that is in line to another class of priority.
-- ARGV: id, priority, first of its class (1 or 0). Returns 1, -1 job missing.
local base, id, priority = KEYS[1], ARGV[1], tonumber(ARGV[2])
if redis.call('EXISTS', base .. id) == 0 then
  return -1
end
local in_line = redis.call('ZREM', base .. 'prioritized', id) == 1
  or take_from_list(base .. 'wait', id)
  or take_from_list(base .. 'paused', id)
if in_line and ARGV[3] == '1' then
  enqueue_first(base, id, priority)
elseif in_line then
  enqueue(base, id, priority, 'LPUSH')
end
redis.call('HSET', base .. id, 'priority', priority)
return 1
