-- include: admit leave-active promote-due enqueue options event priority count-up end-cancelled
-- A failed attempt without backoff: back into line.
-- ARGV: id token now reason stacktrace
local base, id = KEYS[1], ARGV[1]
admit_when_full(base)
promote_due(base, tonumber(ARGV[3]))
local refused = leave_active(base, id, ARGV[2])
if refused ~= 0 then
  return refused
end
redis.call('HSET', base .. id, 'failedReason', ARGV[4], 'stacktrace', ARGV[5])
count_up(base, id, 'atm')
if ended_by_cancel(base, id, tonumber(ARGV[3]), 'active') then
  return 0
end
enqueue(base, id, priority_of(base, id), side_of(options_of(base, id)))
trimmed_event(base, 'waiting', 'jobId', id, 'prev', 'active')
return 0
