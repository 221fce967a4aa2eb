-- include: event store-job delete-job parent postponed
-- Add a job: wait, prioritized or delayed. Answers {id, outcome}; outcome: added,
-- resent (the same call again), duplicated, deduplicated, or a refusal code:
-- -5 parent missing, -7 another parent, -12 the id is taken.
-- ARGV: timestamp id custom name data opts delay priority lifo parent_key parent
--       nonce dedup_id dedup_ttl extend replace keep_last, then pairs of hash fields
local base = KEYS[1]
local now, id, custom = tonumber(ARGV[1]), ARGV[2], ARGV[3] == '1'
local parent_key, nonce = ARGV[10], ARGV[12]
local dedup, ttl = ARGV[13], tonumber(ARGV[14]) or 0
local extend, replace, keep_last = ARGV[15] == '1', ARGV[16] == '1', ARGV[17] == '1'

if parent_key ~= '' and redis.call('EXISTS', parent_key) == 0 then
  return { id, '-5' }
end
redis.call('INCR', base .. 'id')
max_events(base)

-- An existing child is given its parent; a finished one hands over its value.
local function adopt()
  if parent_key == '' then
    return nil
  end
  local owner = redis.call('HGET', base .. id, 'parentKey')
  if owner and owner ~= parent_key and redis.call('EXISTS', owner) == 1 then
    return '-7'
  end
  redis.call('HSET', base .. id, 'parentKey', parent_key, 'parent', ARGV[11])
  if redis.call('ZSCORE', base .. 'completed', id) then
    redis.call('HSET', parent_key .. ':processed', base .. id,
      redis.call('HGET', base .. id, 'returnvalue') or 'null')
  else
    redis.call('SADD', parent_key .. ':dependencies', base .. id)
  end
end

if redis.call('EXISTS', base .. id) == 1 then
  if not custom
    or (nonce ~= '' and redis.call('HGET', base .. id, 'nonce') == nonce) then
    return { id, 'resent' }
  end
  if nonce ~= '' then
    return { id, '-12' }
  end
  local refused = adopt()
  if refused then
    return { id, refused }
  end
  trimmed_event(base, 'duplicated', 'jobId', id)
  return { id, 'duplicated' }
end

local function tell_duplicate(kept, rejected)
  trimmed_event(base, 'debounced', 'jobId', kept, 'debounceId', dedup)
  trimmed_event(base, 'deduplicated', 'jobId', kept, 'deduplicationId', dedup,
    'deduplicatedJobId', rejected)
end

local function own(key)
  if ttl > 0 then
    redis.call('SET', key, id, 'PX', ttl)
  else
    redis.call('SET', key, id)
  end
end

-- A delayed owner makes room for the newcomer.
local function take_place(key, owner)
  if redis.call('ZREM', base .. 'delayed', owner) == 0 then
    return false
  end
  delete_job(base, owner)
  trimmed_event(base, 'removed', 'jobId', owner, 'prev', 'delayed')
  if extend or ttl == 0 then
    own(key)
  else
    redis.call('SET', key, id, 'KEEPTTL')
  end
  tell_duplicate(id, owner)
  return true
end

-- While the owner runs, the last duplicate is kept to become a job when it ends.
local function postpone(key, owner)
  local kept = base .. 'dn:' .. dedup
  redis.call('DEL', kept)
  redis.call('HSET', kept, 'name', ARGV[4], 'data', ARGV[5], 'opts', ARGV[6],
    'jid', id)
  redis.call('PERSIST', key)
end

-- The id of the job that stands for this one already, or nil.
local function duplicate()
  local key = base .. 'de:' .. dedup
  local owner = redis.call('GET', key)
  if not owner or (redis.call('TTL', key) == -1
      and redis.call('EXISTS', base .. owner) == 0) then
    if keep_last then
      redis.call('SET', key, id)
    else
      own(key)
    end
    return nil
  end
  if replace and take_place(key, owner) then
    return nil
  end
  if keep_last and redis.call('LPOS', base .. 'active', owner) then
    postpone(key, owner)
  elseif replace then
    return owner
  elseif extend and ttl > 0 then
    redis.call('SET', key, owner, 'PX', ttl)
  end
  tell_duplicate(owner, id)
  return owner
end

if dedup ~= '' then
  local owner = duplicate()
  if owner then
    return { owner, 'deduplicated' }
  end
end

local extra = {}
for i = 18, #ARGV do
  extra[#extra + 1] = ARGV[i]
end
if nonce ~= '' then
  extra[#extra + 1] = 'nonce'
  extra[#extra + 1] = nonce
end
store_job(base, {
  id = id, name = ARGV[4], data = ARGV[5], opts = ARGV[6], timestamp = now,
  delay = tonumber(ARGV[7]), priority = tonumber(ARGV[8]), lifo = ARGV[9] == '1',
  parent_key = parent_key, parent = ARGV[11], deduplication = dedup, extra = extra,
})
return { id, 'added' }
