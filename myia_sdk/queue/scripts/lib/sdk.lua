-- Start of the private keys of the queue whose keys start with base.
local function sdk(base)
  local prefix, queue = base:match('^(.*):([^:]+):$')
  return prefix .. ':sdk:' .. queue .. ':'
end
