-- Takes out samples that were observed before a time, of those that one step of a scan gives.
--
-- KEYS  samples
-- ARGV  the scan's cursor, its count, the time
-- Gives the next cursor, "0" at the end.
local samples = KEYS[1]
local cursor, count, limit = unpack(ARGV)
local step = redis.call('HSCAN', samples, cursor, 'COUNT', count)
local fields = step[2]
for i = 1, #fields, 2 do
  local observed = tonumber(string.match(fields[i + 1], '^%-?%d+'))
  if observed and observed < tonumber(limit) then -- what is damaged is reported by who reads it
    redis.call('HDEL', samples, fields[i])
  end
end
return step[1]
