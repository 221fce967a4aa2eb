-- include: event join-lists wake
-- Hand out jobs again: `paused` and what other clients pushed to `wait` meanwhile
-- become one list. ARGV: most ids to move. Returns 1 while there are more to move.
local base = KEYS[1]
if join_lists(base .. 'paused', base .. 'wait', tonumber(ARGV[1])) then
  return 1
end
redis.call('HDEL', base .. 'meta', 'paused')
if redis.call('EXISTS', base .. 'wait', base .. 'prioritized') > 0 then
  wake(base, true)
else
  wake_delayed(base)
end
event(base, 'resumed')
return 0
