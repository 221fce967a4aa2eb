-- include: admit leave-active enqueue event priority end-cancelled
-- Give a job back, next in line, without charging an attempt.
-- ARGV: id token now
local base, id = KEYS[1], ARGV[1]
admit_when_full(base)
local refused = leave_active(base, id, ARGV[2])
if refused ~= 0 then
  return refused
end
if ended_by_cancel(base, id, tonumber(ARGV[3]), 'active') then
  return 0
end
enqueue_first(base, id, priority_of(base, id))
trimmed_event(base, 'waiting', 'jobId', id, 'prev', 'active')
return 0
