-- include: store-job
local function run_id(scheduler, due)
  return 'repeat:' .. scheduler .. ':' .. due
end

-- Make the run of a scheduler for the tick `due`. ARGV from `first` on: name, data,
-- opts, priority, lifo (1 or 0), delay (ms), now, then pairs of hash fields up to `last`.
local function add_run(base, scheduler, due, first, last)
  local extra = {}
  for i = first + 7, last do
    extra[#extra + 1] = ARGV[i]
  end
  max_events(base)
  redis.call('ZADD', base .. 'repeat', due, scheduler)
  redis.call('INCR', base .. 'id')
  store_job(base, {
    id = run_id(scheduler, due), scheduler = scheduler, extra = extra,
    name = ARGV[first], data = ARGV[first + 1], opts = ARGV[first + 2],
    priority = tonumber(ARGV[first + 3]), lifo = ARGV[first + 4] == '1',
    delay = tonumber(ARGV[first + 5]), timestamp = tonumber(ARGV[first + 6]),
  })
end
