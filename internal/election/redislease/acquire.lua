-- Copyright The githubexporter Authors
-- SPDX-License-Identifier: Apache-2.0

-- Acquires a lease that no term holds.
--
-- KEYS  holder (expires), fence (never does)
-- ARGV  identity, duration in milliseconds, fences in a second
-- Returns {fence, token}, or {token of the holder}. The fence exceeds all earlier ones, also those from before Redis
-- was restarted without its data: it is at least the time.
local holder, fence = unpack(KEYS)
local have = redis.call('GET', holder)
if have then
  return { have }
end
-- The microseconds are fewer than the fences in a second. They separate terms that start in the same second after the
-- keys were lost.
local time = redis.call('TIME')
local now = tonumber(time[1]) * tonumber(ARGV[3]) + tonumber(time[2])
local number = string.format('%.0f', math.max((tonumber(redis.call('GET', fence) or '') or 0) + 1, now))
local token = ARGV[1] .. '/' .. number
redis.call('SET', fence, number)
redis.call('SET', holder, token, 'PX', ARGV[2])
return { number, token }
