-- include: sdk
-- Search index: one sorted set per label value, scored by the job's creation time.
-- `tags` holds several values, separated by commas; each is found by itself.
local LABEL = 'label:'

local function index_keys(base, name, value)
  local root = sdk(base) .. 'index:' .. name .. ':'
  if name ~= 'tags' then
    return { root .. value }
  end
  local keys = {}
  for tag in value:gmatch('[^,]+') do
    keys[#keys + 1] = root .. tag
  end
  return keys
end

local function index_add(base, id, name, value, timestamp)
  for _, key in ipairs(index_keys(base, name, value)) do
    redis.call('ZADD', key, timestamp, id)
  end
end

local function index_drop(base, id, name, value)
  for _, key in ipairs(index_keys(base, name, value)) do
    redis.call('ZREM', key, id)
  end
end

-- Write a label of a job and keep the index in step; empty text removes it.
local function set_label(base, id, name, value)
  local before = redis.call('HGET', base .. id, LABEL .. name)
  if before == value then
    return
  end
  if before then
    index_drop(base, id, name, before)
  end
  if value == '' then
    redis.call('HDEL', base .. id, LABEL .. name)
    return
  end
  redis.call('HSET', base .. id, LABEL .. name, value)
  index_add(base, id, name, value,
    tonumber(redis.call('HGET', base .. id, 'timestamp') or 0) or 0)
end

-- Words of a failure reason: ASCII letters in lower case, digits, `_` and any other
-- alphabet as it is; the first ones, which tell one error from another.
local WORDS = 6

local function reason_words(reason)
  local words, count = {}, 0
  for word in reason:sub(1, 500):lower():gmatch('[%w_\128-\255]+') do
    if #word >= 4 and #word <= 40 and not words[word] and count < WORDS then
      words[word] = true
      count = count + 1
    end
  end
  return words
end

local function index_reason(base, id, reason)
  local timestamp = tonumber(redis.call('HGET', base .. id, 'timestamp') or 0) or 0
  for word in pairs(reason_words(reason)) do
    redis.call('ZADD', sdk(base) .. 'index:reason:' .. word, timestamp, id)
  end
end

local function forget_reason(base, id)
  local reason = redis.call('HGET', base .. id, 'failedReason')
  for word in pairs(reason_words(reason or '')) do
    redis.call('ZREM', sdk(base) .. 'index:reason:' .. word, id)
  end
end

-- Forget a job that is about to be deleted.
local function index_remove(base, id)
  for _, field in ipairs(redis.call('HKEYS', base .. id)) do
    if field:sub(1, #LABEL) == LABEL then
      index_drop(base, id, field:sub(#LABEL + 1), redis.call('HGET', base .. id, field))
    elseif field == 'failedReason' then
      forget_reason(base, id)
    end
  end
end
