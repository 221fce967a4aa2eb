-- A full server (maxmemory, noeviction) refuses a script at its first command that
-- may allocate. Steps that lead to the end of a job must go on: a write that
-- allocates nothing comes first.
local function admit_when_full(base)
  redis.call('PERSIST', base .. 'meta')
end
