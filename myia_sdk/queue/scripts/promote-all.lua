-- include: event enqueue priority
-- Put a batch of delayed jobs in line, the earliest first. ARGV: most jobs.
-- Returns how many left `delayed`, and how many of them are in line.
local base = KEYS[1]
local ids = redis.call('ZRANGE', base .. 'delayed', 0, tonumber(ARGV[1]) - 1)
local promoted = 0
for _, id in ipairs(ids) do
  redis.call('ZREM', base .. 'delayed', id)
  if redis.call('EXISTS', base .. id) == 1 then
    enqueue(base, id, priority_of(base, id), 'LPUSH')
    trimmed_event(base, 'waiting', 'jobId', id, 'prev', 'delayed')
    redis.call('HSET', base .. id, 'delay', 0)
    promoted = promoted + 1
  end
end
return { #ids, promoted }
