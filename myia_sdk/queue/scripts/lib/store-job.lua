-- include: event enqueue index
-- Write a new job and put it in its place. `job` has the fields id, name, data, opts,
-- timestamp, delay, priority (numbers), lifo, and optionally parent_key, parent,
-- scheduler, deduplication, and extra: a flat list of further hash fields.
local function store_job(base, job)
  local fields = {
    'name', job.name, 'data', job.data, 'opts', job.opts, 'timestamp', job.timestamp,
    'delay', job.delay, 'priority', job.priority,
  }
  local function also(name, value)
    if value and value ~= '' then
      fields[#fields + 1] = name
      fields[#fields + 1] = value
    end
  end
  also('parentKey', job.parent_key)
  also('parent', job.parent)
  also('rjk', job.scheduler)
  also('deid', job.deduplication)
  local extra = job.extra or {}
  for i = 1, #extra, 2 do
    also(extra[i], extra[i + 1])
    if extra[i]:sub(1, #LABEL) == LABEL then
      index_add(base, job.id, extra[i]:sub(#LABEL + 1), extra[i + 1], job.timestamp)
    end
  end
  redis.call('HSET', base .. job.id, unpack(fields))
  event(base, 'added', 'jobId', job.id, 'name', job.name)
  if job.delay > 0 then
    enqueue_delayed(base, job.id, job.timestamp + job.delay)
  else
    enqueue(base, job.id, job.priority, job.lifo and 'RPUSH' or 'LPUSH')
    trimmed_event(base, 'waiting', 'jobId', job.id)
  end
  if job.parent_key and job.parent_key ~= '' then
    redis.call('SADD', job.parent_key .. ':dependencies', base .. job.id)
  end
end
