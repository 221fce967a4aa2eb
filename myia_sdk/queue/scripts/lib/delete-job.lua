-- include: index
-- Delete what belongs to a job alone; its place in a state is the caller's.
local function delete_job(base, id)
  if redis.call('TYPE', base .. id).ok == 'hash' then
    index_remove(base, id)
  end
  redis.call('DEL', sdk(base) .. 'ended:' .. id)
  local key = base .. id
  return redis.call('DEL', key, key .. ':logs', key .. ':dependencies',
    key .. ':processed', key .. ':failed', key .. ':unsuccessful')
end
