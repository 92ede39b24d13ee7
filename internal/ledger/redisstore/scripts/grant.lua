-- Copyright The githubexporter Authors
-- SPDX-License-Identifier: Apache-2.0

-- Grants an organization a number of series out of the limit of all organizations.
--
-- KEYS
--   grants
--
-- ARGV, in this order
--   org     the organization in lower case
--   needed  the number of series to grant
--   budget  the limit of series of all organizations
--
-- Returns the granted number, which never decreases.
local have, others = 0, 0
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  if all[i] == ARGV[1] then
    have = tonumber(all[i + 1]) or 0
  else
    others = others + (tonumber(all[i + 1]) or 0)
  end
end
local granted = math.max(have, math.min(tonumber(ARGV[2]), tonumber(ARGV[3]) - others), 0)
granted = string.format('%d', granted)
redis.call('HSET', KEYS[1], ARGV[1], granted)
return granted
