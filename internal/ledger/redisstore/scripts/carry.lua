-- Moves the events before a time from the log into the carried totals of their series. The log keeps their records until
-- it is trimmed; who reads it leaves out what is carried.
--
-- KEYS  meta, series, carried
-- ARGV  expected epoch, expected carried, new carried, number of totals, then for each series its field and its totals
-- Gives 1, or 0 when what the client expects is not so.
local meta, series, carried = unpack(KEYS)
local epoch, expected, limit, totals = unpack(ARGV, 1, 4)
totals = tonumber(totals)
local state = redis.call('HMGET', meta, 'epoch', 'carried')
if (state[1] or '') ~= epoch or (state[2] or '') ~= expected then
  return 0
end
for i = 5, #ARGV, totals + 1 do
  local field = ARGV[i]
  local sums = {}
  for number in string.gmatch(redis.call('HGET', carried, field) or '', '%d+') do
    sums[#sums + 1] = tonumber(number)
  end
  for k = 1, totals do
    sums[k] = string.format('%.0f', (sums[k] or 0) + tonumber(ARGV[i + k]))
  end
  redis.call('HSET', carried, field, table.concat(sums, ' '))
  local newest = redis.call('HGET', series, field)
  if newest and tonumber(newest) < tonumber(limit) then
    redis.call('HDEL', series, field)
  end
end
redis.call('HSET', meta, 'carried', limit)
return 1
