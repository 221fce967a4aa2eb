-- include: sdk
-- Replace the list of what was revoked, unless another has replaced it meanwhile.
-- ARGV: the list as it was read, empty for none, and the new one. Returns 1 done, 0 not.
local key = sdk(KEYS[1]) .. 'certificates:revocations'
if (redis.call('GET', key) or '') ~= ARGV[1] then
  return 0
end
redis.call('SET', key, ARGV[2])
return 1
