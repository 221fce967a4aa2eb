-- include: sdk
-- Store the value of a chord's member by its index, so that a member delivered twice
-- counts once. ARGV: chord id, index, value, size, seconds to keep. Returns all values
-- as a flat list when none is missing, else an empty one.
local key = sdk(KEYS[1]) .. 'chord:' .. ARGV[1]
redis.call('HSET', key, ARGV[2], ARGV[3])
redis.call('EXPIRE', key, ARGV[5])
if redis.call('HLEN', key) < tonumber(ARGV[4]) then
  return {}
end
return redis.call('HGETALL', key)
