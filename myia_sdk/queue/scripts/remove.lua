-- include: admit armed remove-job event take-from-list
-- Delete one job, and its children unless told otherwise.
-- ARGV: id, now, with children (1 or 0). Returns 1, 0 when it or an unfinished
-- descendant is locked, -1 when nothing of it exists, -8 when a scheduler needs it.
local base, id, now, with_children = KEYS[1], ARGV[1], tonumber(ARGV[2]), ARGV[3] == '1'
admit_when_full(base)
local SORTED = { 'completed', 'waiting-children', 'delayed', 'failed', 'prioritized' }
local LISTS = { 'wait', 'paused', 'active' }

local function parts(key)
  return key:match('^(.*:)([^:]+)$')
end

local function is_locked(key)
  if redis.call('EXISTS', key .. ':lock') == 1 then
    return true
  end
  if with_children then
    for _, child in ipairs(redis.call('SMEMBERS', key .. ':dependencies')) do
      if is_locked(child) then
        return true
      end
    end
  end
  return false
end

local function take_out(place, job)
  for _, state in ipairs(SORTED) do
    if redis.call('ZREM', place .. state, job) == 1 then
      return state
    end
  end
  for _, state in ipairs(LISTS) do
    if take_from_list(place .. state, job) then
      return state
    end
  end
  return 'unknown'
end

local function children_of(key)
  local found = redis.call('HKEYS', key .. ':processed')
  for _, list in ipairs({ redis.call('HKEYS', key .. ':failed'),
    redis.call('ZRANGE', key .. ':unsuccessful', 0, -1),
    redis.call('SMEMBERS', key .. ':dependencies') }) do
    for _, child in ipairs(list) do
      found[#found + 1] = child
    end
  end
  return found
end

local function remove_tree(place, job)
  detach(place, job, now)
  if with_children then
    for _, child in ipairs(children_of(place .. job)) do
      local child_place, child_job = parts(child)
      if child_place then
        remove_tree(child_place, child_job)
      end
    end
  end
  local prev = take_out(place, job)
  if remove_job(place, job, false, now) > 0 then
    trimmed_event(place, 'removed', 'jobId', job, 'prev', prev)
    return true
  end
  return prev ~= 'unknown'
end

if is_armed(base, id) then
  return -8
end
if is_locked(base .. id) then
  return 0
end
return remove_tree(base, id) and 1 or -1
