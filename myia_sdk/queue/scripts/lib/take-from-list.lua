-- Take an id out of a list; from the head when it is near it, as the newest jobs are,
-- else from the tail. Only one far from both ends costs a walk through a long line.
local NEAR_HEAD = 1000

local function take_from_list(list, id)
  local is_near = redis.call('LPOS', list, id, 'MAXLEN', NEAR_HEAD)
  return redis.call('LREM', list, is_near and 1 or -1, id) > 0
end
