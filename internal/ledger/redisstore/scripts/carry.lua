-- Moves the events before a time from the log into the carried totals of their series. The log keeps their records until
-- it is trimmed; who reads it leaves out what is carried.
--
-- KEYS  meta, series, carried
-- ARGV  expected epoch, expected carried, new carried, the ids of totals that are stored without them, then for each series
--       its field and what is added to its totals: "id:value id:value ..."
-- Gives 1, or 0 when what the client expects is not so.
local meta, series, carried = unpack(KEYS)
local epoch, expected, limit, legacy = unpack(ARGV, 1, 4)
local state = redis.call('HMGET', meta, 'epoch', 'carried')
if (state[1] or '') ~= epoch or (state[2] or '') ~= expected then
  return 0
end

-- Adds to sums, and keeps the order in which the ids came.
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

for i = 5, #ARGV, 2 do
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
