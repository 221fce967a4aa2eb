local PRIORITY_STEP = 4294967296
local DELAY_STEP = 4096

local function prioritized_score(base, priority)
  local counter = redis.call('INCR', base .. 'pc')
  return priority * PRIORITY_STEP + counter % PRIORITY_STEP
end

-- Jobs due in the same millisecond keep their order up to 4096.
local function delayed_score(base, due)
  local first = due * DELAY_STEP
  local last = first + DELAY_STEP - 1
  local highest = redis.call('ZREVRANGEBYSCORE', base .. 'delayed', last, first,
    'WITHSCORES', 'LIMIT', 0, 1)
  if not highest[2] then
    return first
  end
  return math.min(tonumber(highest[2]) + 1, last)
end

local function next_due(base)
  local head = redis.call('ZRANGE', base .. 'delayed', 0, 0, 'WITHSCORES')
  return head[2] and math.floor(tonumber(head[2]) / DELAY_STEP) or 0
end
