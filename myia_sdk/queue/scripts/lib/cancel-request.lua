-- include: sdk
-- Requests to stop running jobs, read by the consumers. The whole hash expires a day
-- after the last request, so that leftovers of ended jobs do not pile up.
local CANCEL_KEPT_S = 86400

local function request_cancel(base, id, reason)
  redis.call('HSET', sdk(base) .. 'cancel', id, reason)
  redis.call('EXPIRE', sdk(base) .. 'cancel', CANCEL_KEPT_S)
end

local function cancel_reason(base, id)
  return redis.call('HGET', sdk(base) .. 'cancel', id)
end

local function withdraw_cancel(base, id)
  redis.call('HDEL', sdk(base) .. 'cancel', id)
end
