-- include: admit leave-active enqueue event count-up end-cancelled
-- From active to delayed: a failed attempt with backoff, or, with an empty reason, a
-- move asked for by the job itself, which costs no attempt.
-- ARGV: id token now delay_ms failed(0|1) reason stacktrace
local base, id = KEYS[1], ARGV[1]
local delay = tonumber(ARGV[4])
admit_when_full(base)
local refused = leave_active(base, id, ARGV[2])
if refused ~= 0 then
  return refused
end
if ARGV[5] == '1' then
  redis.call('HSET', base .. id, 'failedReason', ARGV[6], 'stacktrace', ARGV[7])
  count_up(base, id, 'atm')
end
if ended_by_cancel(base, id, tonumber(ARGV[3]), 'active') then
  return 0
end
redis.call('HSET', base .. id, 'delay', delay)
enqueue_delayed(base, id, tonumber(ARGV[3]) + delay)
return 0
