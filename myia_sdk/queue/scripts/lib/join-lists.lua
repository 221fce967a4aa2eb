-- Put `source` behind the tail of `target`, order kept. The shorter list is the one
-- that moves, at most `batch` elements a call. Returns whether more are to move.
local function join_lists(source, target, batch)
  local here, there = redis.call('LLEN', source), redis.call('LLEN', target)
  if here == 0 then
    return false
  end
  if there == 0 then
    redis.call('RENAME', source, target)
    return false
  end
  if here <= there then
    local ids = redis.call('LRANGE', source, 0, batch - 1)
    redis.call('RPUSH', target, unpack(ids))
    redis.call('LTRIM', source, #ids, -1)
    return here > #ids
  end
  local ids = redis.call('LRANGE', target, -batch, -1)
  for i = #ids, 1, -1 do
    redis.call('LPUSH', source, ids[i])
  end
  redis.call('LTRIM', target, 0, -(#ids + 1))
  if there > #ids then
    return true
  end
  redis.call('RENAME', source, target)
  return false
end
