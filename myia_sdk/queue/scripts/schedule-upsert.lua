-- include: scheduler remove-job
-- Write a scheduler and its next run, in place of the run that is pending.
-- ARGV: id, its tick as read by the caller ('' for a new one), whether the run of
-- that tick is pending (1 or 0), next tick, now, number of pairs of the definition,
-- the pairs, then the run (see scheduler). Returns 1, 0 when another changed it
-- meanwhile, -10 when a job has the id of the run.
local base, id, tick, pending, due = KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local now, last_pair = tonumber(ARGV[5]), 6 + 2 * tonumber(ARGV[6])
local key = base .. 'repeat:' .. id
local before = run_id(id, tick)

local function place_of(job)
  for _, set in ipairs({ 'delayed', 'prioritized' }) do
    if redis.call('ZSCORE', base .. set, job) then
      return set, 'ZREM'
    end
  end
  for _, list in ipairs({ 'wait', 'paused' }) do
    if redis.call('LPOS', base .. list, job) then
      return list, 'LREM'
    end
  end
end

if (redis.call('ZSCORE', base .. 'repeat', id) or '') ~= tick then
  return 0
end
local place, command
if tick ~= '' then
  place, command = place_of(before)
end
if (place ~= nil) ~= (pending == '1') then
  return 0
end
if redis.call('EXISTS', base .. run_id(id, due)) == 1
  and not (place and tick == due) then
  return -10
end
if command == 'ZREM' then
  redis.call('ZREM', base .. place, before)
elseif command then
  redis.call('LREM', base .. place, 1, before)
end
if place then
  remove_job(base, before, true, now)
end
local iterations = redis.call('HGET', key, 'ic') or 1
redis.call('DEL', key)
redis.call('HSET', key, 'ic', iterations, unpack(ARGV, 7, last_pair))
add_run(base, id, due, last_pair + 1, #ARGV)
return 1
