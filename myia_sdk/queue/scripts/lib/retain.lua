-- include: delete-job parent
-- Delete finished jobs that are too old or too many, a bounded number a call: the
-- next finish goes on where this one stopped.
local RETAIN_AT_ONCE = 10

local function forget_finished(base, state, ids, now)
  if #ids == 0 then
    return
  end
  for _, id in ipairs(ids) do
    detach(base, id, now)
    delete_job(base, id)
  end
  redis.call('ZREM', base .. state, unpack(ids))
end

local function retain(base, state, retention, now)
  local set = base .. state
  if retention.age then
    forget_finished(base, state, redis.call('ZRANGEBYSCORE', set, '-inf',
      now - retention.age * 1000, 'LIMIT', 0, RETAIN_AT_ONCE), now)
  end
  if retention.count and retention.count > 0 then
    local surplus = redis.call('ZCARD', set) - retention.count
    if surplus > 0 then
      forget_finished(base, state, redis.call('ZRANGE', set, 0,
        math.min(surplus, RETAIN_AT_ONCE) - 1), now)
    end
  end
end

-- What a job says (true, false, number, object), else what the worker says.
local function retention_of(said, count, age)
  local kind = type(said)
  if kind == 'boolean' then
    return { count = said and 0 or nil }
  elseif kind == 'number' then
    return { count = said >= 0 and said or nil }
  elseif kind == 'table' then
    local limit, oldest = tonumber(said.count), tonumber(said.age)
    return {
      count = limit and limit >= 0 and limit or nil,
      age = oldest and oldest >= 0 and oldest or nil,
    }
  end
  return { count = tonumber(count), age = tonumber(age) }
end
