-- include: sdk
-- Take a place in a window that slides, by the server's clock: at most `limit` in any
-- `per` milliseconds. ARGV: name, limit, per, a unique text. Returns 0, or the
-- milliseconds until a place is free.
local key = sdk(KEYS[1]) .. 'rate:' .. ARGV[1]
local limit, per = tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', key, '-inf', now - per)
if redis.call('ZCARD', key) >= limit then
  local oldest = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')[2]
  if not oldest then
    return per
  end
  return math.max(1, tonumber(oldest) + per - now)
end
redis.call('ZADD', key, now, ARGV[4])
redis.call('PEXPIRE', key, per)
return 0
