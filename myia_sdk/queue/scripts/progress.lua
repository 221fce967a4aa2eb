-- include: event
-- ARGV: id, progress as JSON
local base, id = KEYS[1], ARGV[1]
if redis.call('EXISTS', base .. id) == 0 then
  return -1
end
redis.call('HSET', base .. id, 'progress', ARGV[2])
trimmed_event(base, 'progress', 'jobId', id, 'data', ARGV[2])
return 0
