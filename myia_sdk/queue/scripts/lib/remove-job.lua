-- include: parent dedup delete-job cancel-request
-- Bulk removal takes a parent of the same queue along with its last child; a parent
-- elsewhere runs, silently.
local function detach_hard(base, id)
  local parent = parent_of(base, id)
  if not parent
    or redis.call('SREM', parent.key .. ':dependencies', base .. id) == 0
    or redis.call('SCARD', parent.key .. ':dependencies') > 0
    or redis.call('ZREM', parent.base .. 'waiting-children', parent.id) == 0 then
    return
  end
  if parent.base ~= base then
    enqueue(parent.base, parent.id, priority_of(parent.base, parent.id), 'RPUSH')
    return
  end
  detach_hard(base, parent.id)
  dedup_release(base, parent.id)
  delete_job(base, parent.id)
end

-- Delete a job with its books; its place in a state is the caller's. Returns how
-- many keys there were.
local function remove_job(base, id, hard, now)
  if hard then
    detach_hard(base, id)
  else
    detach(base, id, now)
  end
  dedup_release(base, id)
  withdraw_cancel(base, id)
  return delete_job(base, id)
end
