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
-- Returns granted, the granted number. It never decreases.
local grants = unpack(KEYS)
local org, needed, budget = unpack(ARGV)
local have, others = 0, 0
local all = redis.call('HGETALL', grants)
for i = 1, #all, 2 do
  if all[i] == org then
    have = tonumber(all[i + 1]) or 0
  else
    others = others + (tonumber(all[i + 1]) or 0)
  end
end
local granted = math.max(have, math.min(tonumber(needed), tonumber(budget) - others), 0)
granted = string.format('%d', granted)
redis.call('HSET', grants, org, granted)
return granted
