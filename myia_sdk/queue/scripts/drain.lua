-- include: admit armed remove-job sweep
-- Delete jobs that wait in one window of a place, but not the runs of schedulers.
-- ARGV: place (a key suffix), window size, window start, now. Returns how many were
-- removed and how many passed over.
local base, place = KEYS[1], ARGV[1]
local batch, offset, now = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
admit_when_full(base)

local function wants(id)
  return not is_armed(base, id)
end

local function remove(id)
  remove_job(base, id, true, now)
end

local removed, kept
if place == 'wait' or place == 'paused' then
  removed, kept = sweep_list(base .. place, offset, batch, wants, remove)
else
  local ids = redis.call('ZRANGE', base .. place, offset, offset + batch - 1)
  removed, kept = sweep_sorted(base .. place, ids, wants, remove)
end
return { #removed, kept }
