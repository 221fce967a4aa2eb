-- Add one to a counter of a job; a malformed one starts anew.
local function count_up(base, id, field)
  local count = redis.pcall('HINCRBY', base .. id, field, 1)
  if type(count) == 'number' then
    return count
  end
  redis.call('HSET', base .. id, field, 1)
  return 1
end
