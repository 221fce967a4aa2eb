-- include: scheduler
-- Make the next run of a scheduler, whoever asks first.
-- ARGV: id, tick of the run that was fetched, next tick, then the run (see scheduler).
-- Returns 1, 0 when the scheduler is gone or further on, -10 when a job has the id
-- of the run.
local base, id, tick, due = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
if redis.call('ZSCORE', base .. 'repeat', id) ~= tick then
  return 0
end
if redis.call('EXISTS', base .. run_id(id, due)) == 1 then
  trimmed_event(base, 'duplicated', 'jobId', run_id(id, due))
  return -10
end
local key = base .. 'repeat:' .. id
redis.call('HINCRBY', key, 'ic', 1)
if ARGV[5] ~= '{}' then
  redis.call('HSET', key, 'data', ARGV[5])
end
add_run(base, id, due, 4, #ARGV)
local fetched = base .. run_id(id, tick)
if redis.call('EXISTS', fetched) == 1 then
  redis.call('HSET', fetched, 'nrjid', run_id(id, due))
end
return 1
