-- Sets the time before which nothing is wanted any more, and tells the followers. The events stay until they are carried.
--
-- KEYS  meta, log
-- ARGV  expected epoch, expected pruned, new pruned, what is said
-- Gives 1, or 0 when what the client expects is not so.
local meta, log = unpack(KEYS)
local epoch, expected, pruned, said = unpack(ARGV)
local state = redis.call('HMGET', meta, 'epoch', 'pruned', 'last')
if (state[1] or '') ~= epoch or (state[2] or '') ~= expected then
  return 0
end
redis.call('HSET', meta, 'pruned', pruned)
redis.call('HSET', meta, 'last', redis.call('XADD', log, '*', 'p', state[3] or '', 'c', said))
return 1
