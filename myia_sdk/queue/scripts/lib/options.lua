-- The options of a job, read only: nothing decoded here is ever written back.
local function options_of(base, id)
  local text = redis.call('HGET', base .. id, 'opts')
  local ok, options = pcall(cjson.decode, text or '{}')
  if ok and type(options) == 'table' then
    return options
  end
  return {}
end

local function side_of(options)
  return options.lifo == true and 'RPUSH' or 'LPUSH'
end
