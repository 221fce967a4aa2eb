-- Priority of a job as its hash tells it; 0 when absent or malformed.
local function priority_of(base, id)
  return tonumber(redis.call('HGET', base .. id, 'priority') or 0) or 0
end
