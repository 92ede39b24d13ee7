-- Copyright The githubexporter Authors
-- SPDX-License-Identifier: Apache-2.0

-- Stores how many leases a replica holds, and removes the replicas that have not announced for the duration of a lease.
--
-- KEYS  replicas: identity → "held expiry", the expiry in milliseconds of Redis's clock
-- ARGV  identity, held, duration in milliseconds
-- Returns the numbers of the other replicas.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local others = {}
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local held, expiry = string.match(all[i + 1], '^(%d+) (%d+)$')
  if not held or tonumber(expiry) < now then
    redis.call('HDEL', KEYS[1], all[i])
  elseif all[i] ~= ARGV[1] then
    others[#others + 1] = held
  end
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. ' ' .. string.format('%.0f', now + tonumber(ARGV[3])))
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', 10 * tonumber(ARGV[3])))
return others
