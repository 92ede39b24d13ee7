-- Grants an organization a number of series out of the budget of all organizations.
--
-- KEYS  grants
-- ARGV  organization, wanted, budget
-- Gives what is granted: at least what it was.
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
