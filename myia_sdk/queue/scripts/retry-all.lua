-- include: run-again
-- Run a batch of finished jobs again, the oldest first.
-- ARGV: state, finished until (ms), most jobs, reset the attempts (1 or 0).
-- Returns how many left the state, and how many of them run again.
local base, state = KEYS[1], ARGV[1]
local ids = redis.call('ZRANGEBYSCORE', base .. state, 0, ARGV[2], 'LIMIT', 0, ARGV[3])
local again = 0
for _, id in ipairs(ids) do
  redis.call('ZREM', base .. state, id)
  if redis.call('EXISTS', base .. id) == 1 then
    run_again(base, id, state, ARGV[4] == '1', 'LPUSH')
    again = again + 1
  end
end
return { #ids, again }
