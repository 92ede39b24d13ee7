-- Copyright The githubexporter Authors
-- SPDX-License-Identifier: Apache-2.0

-- Shared by scripts: checks that the keys of a ledger belong together. Eviction and DEL remove keys, operators and
-- trimming jobs remove entries; a damaged ledger would count events twice, or lack some. Each hash has a marker field
-- with the epoch, the set a marker member, and the log the entry whose id is "last" in meta. No other field or member
-- has the marker's name. Besides, meta has the number of fields and members ("sizes"), and the first entry of the log
-- is the ledger's first one, or follows one that pruning has trimmed.
local MARKER = '\0'
local SLACK = 86400000 -- milliseconds that the log is kept longer than its events: logSlack in prune.go

-- Returns "last carried swept" of meta and the number of entries of each key. The sizes are valid while these fields of
-- meta are the same and no pruning is incomplete.
local function sizes_of(last, carried, swept, seen, hashes)
  local sizes = { last, carried or '', swept or '', redis.call('SCARD', seen) }
  for i = 1, #hashes do
    sizes[#sizes + 1] = redis.call('HLEN', hashes[i])
  end
  return table.concat(sizes, ' ')
end

-- Whether the keys have at least the counted entries. Readers report and ignore further invalid ones.
local function has_all_entries(state, seen, hashes)
  if not state.sizes or (state.pruned or '') ~= (state.swept or '') then
    return true
  end
  local PATTERN = '^([^ ]* [^ ]* [^ ]* )(.*)$'
  local now, present = string.match(sizes_of(state.last or '', state.carried, state.swept, seen, hashes), PATTERN)
  local before, counted = string.match(state.sizes, PATTERN)
  if before ~= now then
    return true
  end
  local following = string.gmatch(present, '%d+')
  for size in string.gmatch(counted, '%d+') do
    if tonumber(following() or 0) < tonumber(size) then
      return false
    end
  end
  return true
end

-- Whether pruning has trimmed the log beyond an entry.
local function is_cut(id, swept)
  local limit, at = tonumber(swept or ''), tonumber(string.match(id, '^%d+'))
  return limit and at and at < limit * 1000 - SLACK
end

-- Whether the log has its last entry, and starts with the ledger's first entry or one after a trimmed one. Reading an
-- entry costs as much as recording one: commits within a pass check only the last one.
local function is_log_intact(log, state, last_only)
  if (state.last or '') == '' then
    return true
  end
  if #redis.call('XRANGE', log, state.last, state.last) == 0 then
    return false
  end
  if last_only then
    return true
  end
  local fields = redis.call('XRANGE', log, '-', '+', 'COUNT', 1)[1][2]
  for i = 1, #fields, 2 do
    if fields[i] == 'p' then
      return fields[i + 1] == '' or is_cut(fields[i + 1], state.swept)
    end
  end
  return false
end

local NAMES = { 'fence', 'epoch', 'pruned', 'granted', 'last', 'edge', 'whole', 'carried', 'swept', 'sizes' }

-- Returns the fields of meta by name, nil for absent ones.
local function read_state(meta)
  local values, state = redis.call('HMGET', meta, unpack(NAMES)), {}
  for i = 1, #NAMES do
    state[NAMES[i]] = values[i] or nil
  end
  return state
end

-- Whether all keys are complete. "0" in the field whole means that a reader has found a missing entry: see declare.lua.
local function is_intact(state, seen, log, hashes, last_only)
  if state.whole == '0' then
    return false
  end
  for i = 1, #hashes do
    if redis.call('HGET', hashes[i], MARKER) ~= state.epoch then
      return false
    end
  end
  return redis.call('SMISMEMBER', seen, MARKER)[1] == 1 and is_log_intact(log, state, last_only)
    and has_all_entries(state, seen, hashes)
end

-- Adds the markers to a ledger that starts, or to one of an earlier version without them.
local function add_markers(meta, epoch, seen, hashes)
  for i = 1, #hashes do
    redis.call('HSET', hashes[i], MARKER, epoch)
  end
  redis.call('SADD', seen, MARKER)
  redis.call('HSET', meta, 'whole', '1')
end
