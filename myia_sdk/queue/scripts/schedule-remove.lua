-- include: remove-job event
-- Delete a scheduler and its run that is not yet due. ARGV: id, now.
-- Returns 1, 0 when there is no such scheduler.
local base, id = KEYS[1], ARGV[1]
local tick = redis.call('ZSCORE', base .. 'repeat', id)
if not tick then
  return 0
end
local run = 'repeat:' .. id .. ':' .. tick
if redis.call('ZREM', base .. 'delayed', run) == 1 then
  remove_job(base, run, true, tonumber(ARGV[2]))
  event(base, 'removed', 'jobId', run, 'prev', 'delayed')
end
redis.call('ZREM', base .. 'repeat', id)
redis.call('DEL', base .. 'repeat:' .. id)
return 1
