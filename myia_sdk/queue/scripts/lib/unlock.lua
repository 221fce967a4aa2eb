-- End a lease: 0, or -2 when there is none, -6 when another worker holds it.
local function unlock(base, id, token)
  local holder = redis.call('GET', base .. id .. ':lock')
  if not holder then
    return -2
  end
  if holder ~= token then
    return -6
  end
  redis.call('DEL', base .. id .. ':lock')
  redis.call('SREM', base .. 'stalled', id)
  return 0
end
