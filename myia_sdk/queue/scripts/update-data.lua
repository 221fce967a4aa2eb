-- Replace the data of a job. ARGV: id, data (JSON). Returns 1, -1 job missing.
if redis.call('EXISTS', KEYS[1] .. ARGV[1]) == 0 then
  return -1
end
redis.call('HSET', KEYS[1] .. ARGV[1], 'data', ARGV[2])
return 1
