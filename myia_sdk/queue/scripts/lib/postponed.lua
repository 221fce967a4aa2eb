-- include: store-job
-- The end of a job frees its deduplication id. A duplicate that was kept while the
-- job ran (keepLastIfActive) becomes a job now.
local function store_postponed(base, deduplication, now)
  local owner, kept = base .. 'de:' .. deduplication, base .. 'dn:' .. deduplication
  local flat = redis.call('HGETALL', kept)
  if #flat == 0 then
    return
  end
  local job = {}
  for i = 1, #flat, 2 do
    job[flat[i]] = flat[i + 1]
  end
  redis.call('DEL', kept)
  redis.call('INCR', base .. 'id')
  local id = job.jid or ''
  if id == '' or redis.call('EXISTS', base .. id) == 1 then
    return
  end
  local ok, options = pcall(cjson.decode, job.opts or '{}')
  if not ok or type(options) ~= 'table' then
    options = {}
  end
  redis.call('SET', owner, id)
  store_job(base, {
    id = id, name = job.name or '', data = job.data or '{}', opts = job.opts or '{}',
    timestamp = now, delay = tonumber(options.delay) or 0,
    priority = tonumber(options.priority) or 0, lifo = options.lifo == true,
    parent_key = job.pk, parent = job.pd, scheduler = job.rjk,
    deduplication = deduplication,
  })
end

local function dedup_finish(base, id, now)
  local owned = redis.call('HGET', base .. id, 'deid')
  if not owned or owned == '' then
    return
  end
  local key = base .. 'de:' .. owned
  local ttl = redis.call('PTTL', key)
  if ttl == 0 or (ttl == -1 and redis.call('GET', key) == id) then
    redis.call('DEL', key)
  end
  store_postponed(base, owned, now)
end
