-- Declares a ledger damaged of which an entry of the log is gone that another one names as the one before it, and that no
-- pruning has cut. The next commit begins the ledger again. whole.lua stands before it.
--
-- KEYS  meta, log
-- ARGV  expected epoch, the entry that is there, the one before it
-- Gives 1, or 0 when that is not so.
local meta, log = unpack(KEYS)
local epoch, entry, before = unpack(ARGV)
local state = read_state(meta)
if state.epoch ~= epoch or before == '' or is_cut(before, state.swept) then
  return 0
end
if #redis.call('XRANGE', log, entry, entry) == 0 or #redis.call('XRANGE', log, before, before) > 0 then
  return 0
end
redis.call('HSET', meta, 'whole', '0')
return 1
