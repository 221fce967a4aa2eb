-- include: admit armed end-cancelled take-from-list
-- End a job that has not started, or leave a request for the worker that runs it.
-- ARGV: id, reason, now, start of our own lease tokens. Returns 1 ended, 2 requested,
-- -1 job missing, -3 it has ended, -8 a scheduler needs it, -12 a foreign worker.
local base, id, reason, now = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3])
admit_when_full(base)
local key = base .. id

local function take_from_line()
  for _, set in ipairs({ 'delayed', 'prioritized', 'waiting-children' }) do
    if redis.call('ZREM', base .. set, id) == 1 then
      return set
    end
  end
  for _, list in ipairs({ 'wait', 'paused' }) do
    if take_from_list(base .. list, id) then
      return 'waiting'
    end
  end
end

local function request()
  local token = redis.call('GET', key .. ':lock')
  if token and token:sub(1, #ARGV[4]) ~= ARGV[4] then
    return -12
  end
  request_cancel(base, id, reason)
  return 2
end

if redis.call('EXISTS', key) == 0 then
  return -1
end
if redis.call('ZSCORE', base .. 'failed', id) then
  return redis.call('HGET', key, 'label:category') == 'CANCELLED' and 1 or -3
end
if redis.call('ZSCORE', base .. 'completed', id) then
  return -3
end
if is_armed(base, id) then
  return -8
end
local prev = take_from_line()
if not prev then
  return request()
end
end_cancelled(base, id, reason, now, prev)
return 1
