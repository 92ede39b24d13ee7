-- Gives back a lease, unless it is held by another term.
--
-- KEYS  holder
-- ARGV  token
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
return redis.call('DEL', KEYS[1])
