-- Sets the time before which nothing is wanted any more, forgets repositories that left long ago, and tells the followers. The
-- events stay until they are carried.
--
-- KEYS  meta, log, cov, carried, samples, seen, series, tallies, removed. whole.lua stands before it.
-- ARGV  expected epoch, expected pruned, expected carried, new pruned, what is said, then lists, each after its length: for each
--       repository that is forgotten the field that says since when it is gone, and that time; fields to delete of cov; those of
--       carried; those of samples
-- Gives 1, or 0 when what the client expects is not so: also when a key of the ledger is gone, which the next commit finds.
local meta, log, cov, carried, samples, seen, series, tallies, removed = unpack(KEYS)
local epoch, expected, expected_carried, pruned, said = unpack(ARGV, 1, 5)
local at = 5
local CHUNK = 1000 -- unpack's results must fit Lua's stack

-- a list's first index, and its last one
local function list()
  at = at + 1
  local first = at + 1
  at = at + tonumber(ARGV[at])
  return first, at
end

local state = read_state(meta)
if (state.epoch or '') ~= epoch or (state.pruned or '') ~= expected or (state.carried or '') ~= expected_carried then
  return 0
end
if state.whole and not is_whole(state, seen, log, { series, cov, samples, tallies, removed, carried }) then
  return 0
end
local first, last = list()
for i = first, last, 2 do
  if tonumber(redis.call('HGET', cov, ARGV[i])) ~= tonumber(ARGV[i + 1]) then
    return 0 -- it is back
  end
end
for _, key in ipairs({ cov, carried, samples }) do
  first, last = list()
  for i = first, last, CHUNK do
    redis.call('HDEL', key, unpack(ARGV, i, math.min(i + CHUNK - 1, last)))
  end
end
redis.call('HSET', meta, 'pruned', pruned)
redis.call('HSET', meta, 'last', redis.call('XADD', log, '*', 'p', state.last or '', 'c', said))
return 1
