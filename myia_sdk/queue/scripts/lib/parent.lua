-- include: event enqueue priority
-- The flow duties of a consumer towards the parent of a job, which may live in
-- another queue. `parent` was written by a producer and is only read.
local function parent_of(base, id)
  local found = redis.call('HMGET', base .. id, 'parentKey', 'parent')
  local key = found[1]
  if not key or key == '' then
    return nil
  end
  local ok, parent = pcall(cjson.decode, found[2] or '')
  if ok and type(parent) == 'table' and type(parent.queueKey) == 'string'
    and parent.id then
    parent.key, parent.base = key, parent.queueKey .. ':'
    parent.id = tostring(parent.id)
    return parent
  end
  local queue, parent_id = key:match('^(.*:)([^:]+)$')
  return queue and { key = key, base = queue, id = parent_id } or nil
end

-- Let a parent run: out of waiting-children, into line or delayed as it was added.
local function release_parent(parent, now)
  local base, id = parent.base, parent.id
  if redis.call('ZREM', base .. 'waiting-children', id) == 0 then
    return
  end
  if redis.call('EXISTS', parent.key) == 0 then
    return
  end
  local delay = tonumber(redis.call('HGET', parent.key, 'delay') or 0) or 0
  if delay > 0 then
    enqueue_delayed(base, id, now + delay)
    return
  end
  enqueue(base, id, priority_of(base, id), 'RPUSH')
  trimmed_event(base, 'waiting', 'jobId', id, 'prev', 'waiting-children')
end

local function release_if_last(parent, now)
  if redis.call('SCARD', parent.key .. ':dependencies') == 0 then
    release_parent(parent, now)
  end
end

-- A failed child makes its parent run at once, to be failed by whoever fetches it.
local function fail_parent(parent, child, now)
  redis.call('ZADD', parent.key .. ':unsuccessful', now, child)
  if redis.call('EXISTS', parent.key) == 0
    or redis.call('ZSCORE', parent.base .. 'failed', parent.id) then
    return
  end
  redis.call('HSET', parent.key, 'defa', 'child ' .. child .. ' failed')
  local prev = 'waiting-children'
  if redis.call('ZREM', parent.base .. prev, parent.id) == 0 then
    prev = 'delayed'
    if redis.call('ZREM', parent.base .. prev, parent.id) == 0 then
      return
    end
    redis.call('HSET', parent.key, 'delay', 0)
  end
  enqueue(parent.base, parent.id, priority_of(parent.base, parent.id), 'RPUSH')
  trimmed_event(parent.base, 'waiting', 'jobId', parent.id, 'prev', prev)
end

local function child_completed(base, id, value, now)
  local parent = parent_of(base, id)
  if not parent then
    return
  end
  if redis.call('SREM', parent.key .. ':dependencies', base .. id) == 1 then
    redis.call('HSET', parent.key .. ':processed', base .. id, value)
    release_if_last(parent, now)
  end
end

local function child_failed(base, id, reason, now)
  local parent = parent_of(base, id)
  if not parent or not (parent.fpof or parent.cpof or parent.idof or parent.rdof) then
    return
  end
  local child = base .. id
  if redis.call('SREM', parent.key .. ':dependencies', child) == 0 then
    return
  end
  if parent.fpof then
    fail_parent(parent, child, now)
    return
  end
  if parent.cpof or parent.idof then
    redis.call('HSET', parent.key .. ':failed', child, reason)
  end
  if parent.cpof then
    release_parent(parent, now)
  else
    release_if_last(parent, now)
  end
end

-- A job vanishes: its parent no longer waits for it.
local function detach(base, id, now)
  local parent = parent_of(base, id)
  if parent
    and redis.call('SREM', parent.key .. ':dependencies', base .. id) == 1 then
    release_if_last(parent, now)
  end
end
