-- include: unlock
-- Take a job out of active: 0, or -1 job missing, -2 no lease, -6 lease of another,
-- -3 not active.
local function leave_active(base, id, token)
  if redis.call('EXISTS', base .. id) == 0 then
    return -1
  end
  local refused = unlock(base, id, token)
  if refused ~= 0 then
    return refused
  end
  if redis.call('LREM', base .. 'active', -1, id) == 0 then
    return -3
  end
  return 0
end
