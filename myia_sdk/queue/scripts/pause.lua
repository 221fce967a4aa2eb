-- include: event join-lists
-- Stop handing out jobs. The waiting ones move to `paused`, where clients of BullMQ 5
-- look for them. ARGV: most ids to move. Returns 1 while there are more to move.
local base = KEYS[1]
redis.call('HSET', base .. 'meta', 'paused', 1)
redis.call('DEL', base .. 'marker')
if join_lists(base .. 'wait', base .. 'paused', tonumber(ARGV[1])) then
  return 1
end
event(base, 'paused')
return 0
