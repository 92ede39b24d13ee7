-- Copyright The githubexporter Authors
-- SPDX-License-Identifier: Apache-2.0

-- Declares a ledger damaged when its log lacks the entry that another one names as the one before it, unless pruning
-- has trimmed it. The next commit starts a new ledger.
--
-- KEYS, all of one organization, in this order
--   meta log
--
-- ARGV, in this order
--   epoch   the expected epoch
--   entry   the id of the entry that the log has
--   before  the id of the entry before it
--
-- Returns 1, or 0 without a write when the log has both entries or the epoch differs.
--
-- integrity.lua is prepended to this file.
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
