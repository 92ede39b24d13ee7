-- Copyright The githubexporter Authors
-- SPDX-License-Identifier: Apache-2.0

-- Sets the pruning limit, deletes purged repositories, and appends the change to the log for the followers. Events
-- before the limit stay in seen and in the log until they are carried.
--
-- KEYS, all of one organization, in this order
--   meta log cov carried entries seen series tallies removed
--
-- ARGV, in this order. A list, marked by [], is preceded by the number of its values.
--   epoch             the expected epoch
--   expected_pruned   the expected pruning limit in Unix seconds, '' before the first pruning
--   expected_carried  the expected limit of carried events
--   pruned            the new pruning limit
--   frame             the encoded change
--   gone[]            field of cov with the time of disappearance, and that time, for each purged repository
--   coverage[]        fields of cov to delete
--   totals[]          fields of carried to delete
--   purged_entries[]  fields of the hash entries to delete
--
-- Returns 1, or 0 without a write when Redis differs from what the client expects, or when a key of the ledger is
-- missing.
--
-- integrity.lua is prepended to this file.
local meta, log, cov, carried, entries, seen, series, tallies, removed = unpack(KEYS)
local at = 0
local CHUNK = 1000 -- unpack's results must fit Lua's stack

-- Returns the next argument.
local function value(name)
  at = at + 1
  return ARGV[at]
end

-- Returns the first and the last index of the next list.
local function list(name)
  at = at + 1
  local first = at + 1
  at = at + tonumber(ARGV[at])
  return first, at
end

local epoch, expected_pruned, expected_carried = value('epoch'), value('expected_pruned'), value('expected_carried')
local pruned, frame = value('pruned'), value('frame')
local state = read_state(meta)
if (state.epoch or '') ~= epoch or (state.pruned or '') ~= expected_pruned
  or (state.carried or '') ~= expected_carried then
  return 0
end
if state.whole and not is_intact(state, seen, log, { series, cov, entries, tallies, removed, carried }) then
  return 0
end
local first, last = list('gone')
for i = first, last, 2 do
  if tonumber(redis.call('HGET', cov, ARGV[i])) ~= tonumber(ARGV[i + 1]) then
    return 0 -- it has returned
  end
end
local function delete(key, from, to)
  for i = from, to, CHUNK do
    redis.call('HDEL', key, unpack(ARGV, i, math.min(i + CHUNK - 1, to)))
  end
end
delete(cov, list('coverage'))
delete(carried, list('totals'))
delete(entries, list('purged_entries'))
redis.call('HSET', meta, 'pruned', pruned)
redis.call('HSET', meta, 'last', redis.call('XADD', log, '*', 'p', state.last or '', 'c', frame))
return 1
