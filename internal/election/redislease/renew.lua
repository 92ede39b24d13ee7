-- Holds a lease for its duration from now on. Gives 0 when it is held by another term, or by none.
--
-- KEYS  holder
-- ARGV  token, duration in milliseconds
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
