-- Delete the jobs of one window of a list or sorted set that `wants(id)` chooses.
-- Both return the removed ids and how many were passed over, which the next window
-- skips: lists are read from the tail, their oldest end.
local function sweep_list(key, offset, batch, wants, remove)
  local ids = redis.call('LRANGE', key, -(offset + batch), -(offset + 1))
  local removed, kept = {}, 0
  for i = #ids, 1, -1 do
    if wants(ids[i]) then
      removed[#removed + 1] = ids[i]
    else
      kept = kept + 1
    end
  end
  if kept == 0 and offset == 0 and #ids > 0 then
    redis.call('LTRIM', key, 0, -(#ids + 1))
  else
    for _, id in ipairs(removed) do
      redis.call('LREM', key, -1, id)
    end
  end
  for _, id in ipairs(removed) do
    remove(id)
  end
  return removed, kept
end

local function sweep_sorted(key, ids, wants, remove)
  local removed, kept = {}, 0
  for _, id in ipairs(ids) do
    if wants(id) then
      removed[#removed + 1] = id
    else
      kept = kept + 1
    end
  end
  if #removed > 0 then
    redis.call('ZREM', key, unpack(removed))
  end
  for _, id in ipairs(removed) do
    remove(id)
  end
  return removed, kept
end
