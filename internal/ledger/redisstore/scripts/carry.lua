-- Copyright The githubexporter Authors
-- SPDX-License-Identifier: Apache-2.0

-- Adds the totals of events before a limit to the carried totals of their series. The log keeps the records of these
-- events until it is trimmed; its readers ignore carried events.
--
-- KEYS, all of one organization, in this order
--   meta series carried
--
-- ARGV, in this order. Those marked by ... are all that follow.
--   epoch             the expected epoch
--   expected_carried  the expected limit of carried events in Unix seconds, '' before the first pruning
--   limit             the new one
--   legacy            the ids of totals that earlier versions stored without ids, in their order
--   totals...         for each series its field, and the totals to add: "id:value id:value ..."
--
-- Returns 1, or 0 without a write when Redis differs from what the client expects.
local meta, series, carried = unpack(KEYS)
local epoch, expected_carried, limit, legacy = unpack(ARGV, 1, 4)
local state = redis.call('HMGET', meta, 'epoch', 'carried')
if (state[1] or '') ~= epoch or (state[2] or '') ~= expected_carried then
  return 0
end

-- Adds a value to sums. order has the ids in the order of their first value.
local function add(sums, order, id, value)
  if not sums[id] then
    order[#order + 1] = id
  end
  sums[id] = (sums[id] or 0) + tonumber(value)
end

local function add_text(sums, order, text)
  if string.find(text, ':', 1, true) then
    for id, value in string.gmatch(text, '(%d+):(%d+)') do
      add(sums, order, id, value)
    end
    return
  end
  local ids = string.gmatch(legacy, '%d+')
  for value in string.gmatch(text, '%d+') do
    local id = ids()
    if id then
      add(sums, order, id, value)
    end
  end
end

for i = 5, #ARGV, 2 do -- totals...
  local field = ARGV[i]
  local sums, order = {}, {}
  add_text(sums, order, redis.call('HGET', carried, field) or '')
  add_text(sums, order, ARGV[i + 1])
  for k = 1, #order do
    order[k] = order[k] .. ':' .. string.format('%.0f', sums[order[k]])
  end
  redis.call('HSET', carried, field, table.concat(order, ' '))
  local newest = redis.call('HGET', series, field)
  if newest and tonumber(newest) < tonumber(limit) then
    redis.call('HDEL', series, field)
  end
end
redis.call('HSET', meta, 'carried', limit)
return 1
