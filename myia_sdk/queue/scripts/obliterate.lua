-- include: admit remove-job sweep sdk
-- Delete a paused queue, a batch a call. ARGV: most jobs, force (1 or 0), now.
-- Returns 1 while there is more, 0 when done, -1 not paused, -2 jobs are running.
local base, batch, now = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[3])
admit_when_full(base)
if redis.call('HEXISTS', base .. 'meta', 'paused') == 0 then
  return -1
end
if redis.call('EXISTS', base .. 'active') == 1 and ARGV[2] ~= '1' then
  return -2
end

local function every()
  return true
end

local function remove(id)
  remove_job(base, id, true, now)
  redis.call('DEL', base .. id .. ':lock')
end

local function remove_schedulers()
  local ids = redis.call('ZRANGE', base .. 'repeat', 0, batch - 1)
  for _, id in ipairs(ids) do
    redis.call('DEL', base .. 'repeat:' .. id)
    redis.call('ZREM', base .. 'repeat', id)
  end
  return #ids
end

-- Schedulers go first: their next runs are then jobs like any other.
if remove_schedulers() > 0 then
  return 1
end
for _, list in ipairs({ 'active', 'paused', 'wait' }) do
  local removed = sweep_list(base .. list, 0, batch, every, remove)
  if #removed > 0 then
    return 1
  end
end
for _, set in ipairs({ 'delayed', 'completed', 'prioritized', 'failed',
  'waiting-children' }) do
  local ids = redis.call('ZRANGE', base .. set, 0, batch - 1)
  if #ids > 0 then
    sweep_sorted(base .. set, ids, every, remove)
    return 1
  end
end
for _, key in ipairs({ 'events', 'delay', 'stalled-check', 'stalled', 'id', 'pc',
  'marker', 'meta', 'limiter', 'metrics:completed', 'metrics:completed:data',
  'metrics:failed', 'metrics:failed:data' }) do
  redis.call('DEL', base .. key)
end
redis.call('DEL', sdk(base) .. 'cancel')
return 0
