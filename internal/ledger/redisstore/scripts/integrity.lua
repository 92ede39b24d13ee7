-- What scripts share: whether the keys of a ledger belong together. Eviction and DEL take whole keys, people and trimming
-- jobs take entries; a ledger of which something is gone would count twice, or show less. Each hash has the epoch in a
-- field, the set a member, and the log the entry that meta calls its last. None of them can be mistaken for anything
-- else in its key. Besides, meta has how many fields and members there are ("sizes"), and the first entry of the log is
-- that of the ledger or follows one that pruning has cut.
local MARK = '\0'
local SLACK = 86400000 -- the log is cut so many milliseconds before what is pruned: slack in prune.go

-- The number of entries of each key, after what it was counted for: the sizes are valid while these fields of meta are
-- the same and no pruning is under way.
local function sizes_of(last, carried, swept, seen, hashes)
  local sizes = { last, carried or '', swept or '', redis.call('SCARD', seen) }
  for i = 1, #hashes do
    sizes[#sizes + 1] = redis.call('HLEN', hashes[i])
  end
  return table.concat(sizes, ' ')
end

-- More than was counted is damage of single entries, which readers report and leave out.
local function is_counted(state, seen, hashes)
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

-- Whether pruning has cut the log behind an entry.
local function is_cut(id, swept)
  local limit, at = tonumber(swept or ''), tonumber(string.match(id, '^%d+'))
  return limit and at and at < limit * 1000 - SLACK
end

-- The log's last entry is there, and its first one is the first of all, or the one after what was cut. Reading an entry
-- costs as much as recording one: a commit of a part of a pass only looks for the last one.
local function is_log_whole(log, state, last_only)
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

-- The fields of meta, by name: absent ones are nil.
local function read_state(meta)
  local values, state = redis.call('HMGET', meta, unpack(NAMES)), {}
  for i = 1, #NAMES do
    state[NAMES[i]] = values[i] or nil
  end
  return state
end

-- A ledger of which a reader has proved that an entry is gone has "0" as its field whole: see declare.lua.
local function is_whole(state, seen, log, hashes, last_only)
  if state.whole == '0' then
    return false
  end
  for i = 1, #hashes do
    if redis.call('HGET', hashes[i], MARK) ~= state.epoch then
      return false
    end
  end
  return redis.call('SMISMEMBER', seen, MARK)[1] == 1 and is_log_whole(log, state, last_only) and is_counted(state, seen, hashes)
end

-- Marks the keys of a ledger that begins, or of one that was written before there were marks.
local function mark_whole(meta, epoch, seen, hashes)
  for i = 1, #hashes do
    redis.call('HSET', hashes[i], MARK, epoch)
  end
  redis.call('SADD', seen, MARK)
  redis.call('HSET', meta, 'whole', '1')
end
