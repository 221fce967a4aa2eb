-- include: run-again
-- Run a batch of finished jobs again, the oldest first.
-- ARGV: state, finished until (ms), most jobs, reset the attempts (1 or 0), jobs that
-- earlier batches passed over, cancelled ones too (1 or 0).
-- Returns how many left the state, how many of them run again, and how many were
-- passed over.
local base, state, latest = KEYS[1], ARGV[1], tonumber(ARGV[2])
local passed, with_cancelled = tonumber(ARGV[5]), ARGV[6] == '1'
local found = redis.call('ZRANGE', base .. state, passed, passed + ARGV[3] - 1,
  'WITHSCORES')
local left, again, kept = 0, 0, 0
for i = 1, #found, 2 do
  local id = found[i]
  if tonumber(found[i + 1]) > latest then
    break
  end
  if not with_cancelled
    and redis.call('HGET', base .. id, 'label:category') == 'CANCELLED' then
    kept = kept + 1
  else
    redis.call('ZREM', base .. state, id)
    left = left + 1
    if redis.call('EXISTS', base .. id) == 1 then
      run_again(base, id, state, ARGV[4] == '1', 'LPUSH')
      again = again + 1
    end
  end
end
return { left, again, kept }
