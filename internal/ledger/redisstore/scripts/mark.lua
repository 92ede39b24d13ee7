-- Sets the time before which nothing is wanted any more, forgets repositories that left long ago, and tells the followers. The
-- events stay until they are carried.
--
-- KEYS  meta, log, cov, carried
-- ARGV  expected epoch, expected pruned, new pruned, what is said, then lists, each after its length: for each repository that
--       is forgotten the field that says since when it is gone, and that value; fields to delete of cov; those of carried
-- Gives 1, or 0 when what the client expects is not so.
local meta, log, cov, carried = unpack(KEYS)
local epoch, expected, pruned, said = unpack(ARGV, 1, 4)
local at = 4

-- a list's first index, and its last one
local function list()
  at = at + 1
  local first = at + 1
  at = at + tonumber(ARGV[at])
  return first, at
end

local state = redis.call('HMGET', meta, 'epoch', 'pruned', 'last')
if (state[1] or '') ~= epoch or (state[2] or '') ~= expected then
  return 0
end
local first, last = list()
for i = first, last, 2 do
  if redis.call('HGET', cov, ARGV[i]) ~= ARGV[i + 1] then
    return 0 -- it is back
  end
end
for _, key in ipairs({ cov, carried }) do
  first, last = list()
  for i = first, last do
    redis.call('HDEL', key, ARGV[i])
  end
end
redis.call('HSET', meta, 'pruned', pruned)
redis.call('HSET', meta, 'last', redis.call('XADD', log, '*', 'p', state[3] or '', 'c', said))
return 1
