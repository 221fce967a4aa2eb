-- include: sdk
-- Free a lock that the token holds. ARGV: name, token. Returns 1 freed, 0 not held.
local key = sdk(KEYS[1]) .. 'lock:' .. ARGV[1]
if redis.call('GET', key) == ARGV[2] then
  return redis.call('DEL', key)
end
return 0
