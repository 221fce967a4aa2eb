-- Prolong leases; answers the ids whose lease is lost. PEXPIRE allocates nothing, so
-- that a full server does not take running jobs from their workers.
-- ARGV: lease_ms, then pairs of id and token
local base = KEYS[1]
local lost = {}
for i = 2, #ARGV, 2 do
  local id = ARGV[i]
  local lock = base .. id .. ':lock'
  if redis.call('GET', lock) == ARGV[i + 1] then
    redis.call('PEXPIRE', lock, ARGV[1])
    redis.call('SREM', base .. 'stalled', id)
  else
    lost[#lost + 1] = id
  end
end
return lost
