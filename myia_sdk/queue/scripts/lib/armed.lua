-- Whether a job is the next run of a living scheduler: without it the schedule ends.
local function is_armed(base, id)
  local scheduler = redis.call('HGET', base .. id, 'rjk')
  if not scheduler or scheduler == '' then
    return false
  end
  local due = redis.call('ZSCORE', base .. 'repeat', scheduler)
  return due ~= false and id == 'repeat:' .. scheduler .. ':' .. due
end
