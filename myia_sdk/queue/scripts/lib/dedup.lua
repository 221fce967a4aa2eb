-- Free the deduplication id of a job that is removed.
local function dedup_release(base, id)
  local owned = redis.call('HGET', base .. id, 'deid')
  if owned and redis.call('GET', base .. 'de:' .. owned) == id then
    redis.call('DEL', base .. 'de:' .. owned, base .. 'dn:' .. owned)
  end
end
