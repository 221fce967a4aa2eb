-- include: run-again
-- Run one finished job again.
-- ARGV: id, state it is in (completed or failed), reset the attempts (1 or 0).
-- Returns 1, -1 job missing, -3 not in that state.
local base, id, state = KEYS[1], ARGV[1], ARGV[2]
if redis.call('EXISTS', base .. id) == 0 then
  return -1
end
if redis.call('ZREM', base .. state, id) == 0 then
  return -3
end
run_again(base, id, state, ARGV[3] == '1')
return 1
