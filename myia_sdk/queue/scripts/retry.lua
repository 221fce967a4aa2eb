-- include: run-again options
-- Run one finished job again. ARGV: id, reset the attempts (1 or 0).
-- Returns 1, -1 job missing, -3 not finished.
local base, id = KEYS[1], ARGV[1]
if redis.call('EXISTS', base .. id) == 0 then
  return -1
end
for _, state in ipairs({ 'failed', 'completed' }) do
  if redis.call('ZREM', base .. state, id) == 1 then
    run_again(base, id, state, ARGV[2] == '1', side_of(options_of(base, id)))
    return 1
  end
end
return -3
