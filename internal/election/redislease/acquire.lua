-- Takes a lease that nobody holds.
--
-- KEYS  holder (expires), fence (never does)
-- ARGV  identity, duration in milliseconds, fences in a second
-- Gives {fence, token}, or the holder's token alone. The fence is above all earlier ones, and above those that were given
-- before Redis lost its memory: it is at least the time.
local holder, fence = unpack(KEYS)
local have = redis.call('GET', holder)
if have then
  return { have }
end
-- The microseconds are less than the fences in a second. They tell terms apart that begin in one second under different leases.
local time = redis.call('TIME')
local now = tonumber(time[1]) * tonumber(ARGV[3]) + tonumber(time[2])
local number = string.format('%.0f', math.max((tonumber(redis.call('GET', fence) or '') or 0) + 1, now))
local token = ARGV[1] .. '/' .. number
redis.call('SET', fence, number)
redis.call('SET', holder, token, 'PX', ARGV[2])
return { number, token }
