-- Append log lines and keep the last ones. Answers the number kept, or -1.
-- ARGV: id keep lines...
local base, id, keep = KEYS[1], ARGV[1], tonumber(ARGV[2])
if redis.call('EXISTS', base .. id) == 0 then
  return -1
end
local logs = base .. id .. ':logs'
local count = redis.call('LLEN', logs)
if #ARGV > 2 then
  count = redis.call('RPUSH', logs, unpack(ARGV, 3))
end
if keep > 0 and count > keep then
  redis.call('LTRIM', logs, -keep, -1)
  return keep
end
return count
