-- Copyright The githubexporter Authors
-- SPDX-License-Identifier: Apache-2.0

-- Commits a batch completely or not at all: it makes all checks before the first write.
--
-- KEYS, all of one organization, in this order
--   meta seen series cov entries tallies log removed carried
--
-- ARGV, in this order. A list, marked by [], is preceded by the number of its values.
--   fence           of the writer's term in decimal, '0' for a batch without one
--   epoch           the expected epoch, '' for a ledger that has not started
--   new_epoch       the epoch of a ledger that this commit starts
--   pruned          the expected pruning limit, '' before the first pruning
--   edge            the new edge in Unix seconds, '' for none
--   frame           the encoded change without events, '' for none
--   series_mode     'any': no limit of series; 'ask': report a missing grant; 'final': fold series without one
--   grant_from      the grant that the client has read
--   grant           the new grant in its place, '' for none
--   overflow        the field of the tally that counts folded series
--   began           the start of a ledger that this commit starts, in Unix seconds
--   wrote           the last log entry that the client has written, '' for none
--   contacts[]      field and value of cov for each repository that the batch introduces
--   events[]        the members of seen, one for each event
--   records         the records of the events, one after the other
--   lengths         the length of each record, in two bytes
--   series_indexes  the index of each event's series in series[], from 1 on, in two bytes
--   series[]        the fields of the hash series
--   repo_lengths    the length of the repository's part of each series' field, in one byte
--   newest[]        the time of the newest event of each series, '' for one without a part in the limit of series
--   other           the actor "_other", encoded
--   set[]           field and value of cov to set
--   deleted[]       fields of cov to delete
--   signals[]       field and "observed value" of cov, of which the newest observation wins
--   entries[]       field and "observed value" of the hash entries, of which the newest observation wins
--   gaps[]          field of cov, missed windows and read windows for each stream with either
--   tips[]          field of cov, heads from which commits were listed and resolved heads for each repository
--   removals[]      the members of seen of removed events
--   tallies[]       field and increment
--
-- Returns one of
--   OK recorded folded last        written; last is the id of the log's last entry
--   FENCED                         a later term has written
--   STALE                          epoch, pruned or a contact differs from Redis: the client reads them again
--   ROOM granted needed            there are more series than granted
--   DAMAGED                        keys or entries are missing: the rest was deleted, and the next commit starts over
--   LOST                           the log lacks the entry wrote, as after a failover
--
-- integrity.lua is prepended to this file.
local meta, seen, series, cov, entries, tallies, log, removed, carried = unpack(KEYS)

local at = 0
-- Returns the next argument. The name is for readers, and for the test that compares it with the table.
local function value(name)
  at = at + 1
  return ARGV[at]
end

-- Returns the index before the first value of the next list, and the number of its values.
local function list(name)
  at = at + 1
  local n, first = tonumber(ARGV[at]), at
  at = at + n
  return first, n
end

local fence, epoch, new_epoch, pruned = value('fence'), value('epoch'), value('new_epoch'), value('pruned')
local edge, frame, series_mode = value('edge'), value('frame'), value('series_mode')
local grant_from, grant, overflow = value('grant_from'), value('grant'), value('overflow')
local began, wrote = value('began'), value('wrote')
local intro, intros = list('contacts')
local field, events = list('events')
local records, lengths, series_indexes = value('records'), value('lengths'), value('series_indexes')
local name, named = list('series')
local repo_lengths = value('repo_lengths')
local newest = list('newest')
local other = value('other')
local set_first, sets = list('set')
local deleted_first, deletions = list('deleted')
local signal, signals = list('signals')
local entry_first, entry_values = list('entries')
local window, windows = list('gaps')
local tip, tips = list('tips')
local removal, removals = list('removals')
local tally, amounts = list('tallies')
local CHUNK = 1000 -- unpack's results must fit Lua's stack
local byte, sub = string.byte, string.sub

-- Compares decimal numbers of any length without leading zeros.
local function less(a, b)
  return #a < #b or (#a == #b and a < b)
end

local function each_chunk(n, call)
  for from = 1, n, CHUNK do
    call(from, math.min(from + CHUNK - 1, n))
  end
end

local function write(command, key, values)
  each_chunk(#values, function(from, to)
    redis.call(command, key, unpack(values, from, to))
  end)
end

local state = read_state(meta)
if fence ~= '0' and less(fence, state.fence or '0') then
  return { 'FENCED' }
end
if (state.epoch or '') ~= epoch or (state.pruned or '') ~= pruned then
  return { 'STALE' }
end

local hashes = { series, cov, entries, tallies, removed, carried }

local function is_damaged()
  local lasts = state.last or ''
  if epoch == '' then -- meta is missing, or the ledger has not started
    for i = 1, #hashes do
      if redis.call('HLEN', hashes[i]) > 0 then
        return true
      end
    end
    return redis.call('SCARD', seen) > 0 or #redis.call('XRANGE', log, '-', '+', 'COUNT', 1) > 0
  end
  if state.whole then
    return not is_intact(state, seen, log, hashes, edge == '')
  end
  -- A ledger without markers, of an earlier version: the log has to have its last entry, and events need keys and
  -- repositories.
  local events = redis.call('HLEN', series) > 0
  return (lasts ~= '' and #redis.call('XRANGE', log, lasts, lasts) == 0)
    or (events and (redis.call('SCARD', seen) == 0 or redis.call('HLEN', cov) == 0))
end

if is_damaged() then
  for i = 1, #KEYS do
    redis.call('DEL', KEYS[i])
  end
  if state.fence then
    redis.call('HSET', meta, 'fence', state.fence)
  end
  return { 'DAMAGED' }
end
if wrote ~= '' and wrote ~= state.last and not is_cut(wrote, state.swept)
  and #redis.call('XRANGE', log, wrote, wrote) == 0 then
  return { 'LOST' }
end

-- Whether a text is a valid contact: two times in seconds.
local function is_contact(text)
  local contact, since = string.match(text, '^%-?(%d+) %-?(%d+)$')
  return contact and #contact <= 18 and #since <= 18
end

for i = intro + 1, intro + intros, 2 do
  local have = redis.call('HGET', cov, ARGV[i])
  if have and have ~= ARGV[i + 1] and is_contact(have) then
    return { 'STALE' } -- an invalid contact is replaced
  end
end

-- Mostly all events of a batch are new. Then "fresh" stays empty, and no work is done for each event.
local fresh, recorded, all = {}, 0, true
local had = {} -- members of events that are recorded already
each_chunk(events, function(from, to)
  local have = redis.call('SMISMEMBER', seen, unpack(ARGV, field + from, field + to))
  for i = 1, #have do
    if have[i] ~= 0 then
      had[#had + 1] = ARGV[field + from + i - 1]
      if all then
        all = false
        for k = 1, recorded do
          fresh[k] = k
        end
      end
    else
      recorded = recorded + 1
      if not all then
        fresh[recorded] = from + i - 1
      end
    end
  end
end)

local last = {} -- by series: the time of its newest event in Redis, or false
if recorded > 0 then
  each_chunk(named, function(from, to)
    local have = redis.call('HMGET', series, unpack(ARGV, name + from, name + to))
    for i = 1, #have do
      last[from + i - 1] = have[i]
    end
  end)
end

local function two(bytes, i)
  local high, low = byte(bytes, 2 * i - 1, 2 * i)
  return high * 256 + low
end

local used = {} -- series that have fresh events
if all then
  for s = 1, named do
    used[s] = s
  end
else
  local met = {}
  for k = 1, recorded do
    local s = two(series_indexes, fresh[k])
    if not met[s] then
      met[s] = true
      used[#used + 1] = s
    end
  end
end
local order = {} -- the new ones of them
for k = 1, #used do
  local s = used[k]
  if not last[s] and ARGV[newest + s] ~= '' then
    order[#order + 1] = s
  end
end

local folded = {}
local folds = 0
local granted = state.granted or ''
if series_mode ~= 'any' and #order > 0 then
  if grant ~= '' and granted == grant_from then
    granted = grant
  end
  local have = math.max(0, redis.call('HLEN', series) - 1) -- without the marker
  local free = (tonumber(granted) or 0) - have
  if free < #order then
    if series_mode ~= 'final' or granted ~= grant then
      return { 'ROOM', state.granted or '', have + #order }
    end
    for k = math.max(free, 0) + 1, #order do
      folded[order[k]] = true
      folds = folds + 1
    end
  end
end

-- All checks are made: from here on the script writes.
local set = {} -- of meta
local function note(name, value)
  set[#set + 1] = name
  set[#set + 1] = value
end
if fence ~= '0' and fence ~= state.fence then
  note('fence', fence)
end
if not state.whole then
  add_markers(meta, epoch == '' and new_epoch or epoch, seen, hashes)
end
if epoch == '' then
  note('epoch', new_epoch)
  note('began', began)
end
if granted ~= (state.granted or '') then
  note('granted', granted)
end

-- Returns the records of the fresh events, with the actor "_other" at the end of folded ones.
local function cut()
  local out, from, k = {}, 1, 1
  for i = 1, events do
    local length = two(lengths, i)
    if all or fresh[k] == i then
      local s = two(series_indexes, i)
      if folded[s] then
        local actor = #ARGV[name + s] - byte(repo_lengths, s)
        out[k] = sub(records, from, from + length - actor - 1) .. other
      else
        out[k] = sub(records, from, from + length - 1)
      end
      k = k + 1
    end
    from = from + length
  end
  return table.concat(out)
end

if recorded > 0 then
  if all then
    each_chunk(events, function(from, to)
      redis.call('SADD', seen, unpack(ARGV, field + from, field + to))
    end)
  else
    local fields = {}
    for k = 1, recorded do
      fields[k] = ARGV[field + fresh[k]]
    end
    write('SADD', seen, fields)
  end
  if not all or folds > 0 then
    records = cut()
  end
  local moved = {}
  for k = 1, #used do
    local s = used[k]
    local now = ARGV[newest + s]
    if now ~= '' and not folded[s] and (not last[s] or less(last[s], now)) then
      moved[#moved + 1] = ARGV[name + s]
      moved[#moved + 1] = now
    end
  end
  write('HSET', series, moved)
end

-- Removed events that are in the batch again.
local restored = {}
if #had > 0 and redis.call('HLEN', removed) > 1 then -- more than the marker
  for k = 1, #had do
    if redis.call('HDEL', removed, had[k]) == 1 then
      restored[#restored + 1] = had[k]
    end
  end
end

-- The coverage. A valid contact is the same as in Redis.
for i = intro + 1, intro + intros, 2 do
  redis.call('HSET', cov, ARGV[i], ARGV[i + 1])
end
for i = set_first + 1, set_first + sets, 2 do
  redis.call('HSET', cov, ARGV[i], ARGV[i + 1])
end
for i = deleted_first + 1, deleted_first + deletions do
  redis.call('HDEL', cov, ARGV[i])
end
-- Sets values "observed value" unless Redis has one that was observed later.
local function observe(key, first, n)
  for i = first + 1, first + n, 2 do
    local have = redis.call('HGET', key, ARGV[i])
    local before = have and tonumber(string.match(have, '^%-?%d+')) or nil
    if not before or before <= tonumber(string.match(ARGV[i + 1], '^%-?%d+')) then
      redis.call('HSET', key, ARGV[i], ARGV[i + 1])
    end
  end
end
observe(cov, signal, signals)
observe(entries, entry_first, entry_values)

-- Windows of a stream, "start end start end ..." in ascending order, neither overlapping nor touching.
local function parse(text)
  local numbers = {}
  for number in string.gmatch(text or '', '%-?%d+') do
    numbers[#numbers + 1] = tonumber(number)
  end
  return numbers
end

local function add(windows, from, to)
  local result, placed = {}, false
  for i = 1, #windows - 1, 2 do
    local a, b = windows[i], windows[i + 1]
    if b < from then
      result[#result + 1], result[#result + 2] = a, b
    elseif a > to then
      if not placed then
        result[#result + 1], result[#result + 2] = from, to
        placed = true
      end
      result[#result + 1], result[#result + 2] = a, b
    else
      from, to = math.min(a, from), math.max(b, to)
    end
  end
  if not placed then
    result[#result + 1], result[#result + 2] = from, to
  end
  return result
end

local function remove(windows, from, to)
  local result = {}
  for i = 1, #windows - 1, 2 do
    local a, b = windows[i], windows[i + 1]
    if a < math.min(b, from) then
      result[#result + 1], result[#result + 2] = a, math.min(b, from)
    end
    if math.max(a, to) < b then
      result[#result + 1], result[#result + 2] = math.max(a, to), b
    end
  end
  return result
end

-- Gaps: adds the missed windows, then subtracts the read ones.
for i = window + 1, window + windows, 3 do
  local missing = parse(redis.call('HGET', cov, ARGV[i]))
  local missed, read = parse(ARGV[i + 1]), parse(ARGV[i + 2])
  for k = 1, #missed - 1, 2 do
    missing = add(missing, missed[k], missed[k + 1])
  end
  for k = 1, #read - 1, 2 do
    missing = remove(missing, read[k], read[k + 1])
  end
  if #missing == 0 then
    redis.call('HDEL', cov, ARGV[i])
  else
    for k = 1, #missing do
      missing[k] = string.format('%d', missing[k])
    end
    redis.call('HSET', cov, ARGV[i], table.concat(missing, ' '))
  end
end
-- Tips: adds the heads from which commits were listed, without the resolved ones.
local unknown_tip = string.rep('0', 40)
for i = tip + 1, tip + tips, 3 do
  local resolved, seen_heads, heads = {}, {}, {}
  for head in string.gmatch(ARGV[i + 2], '%x+') do
    resolved[head] = true
  end
  for head in string.gmatch((redis.call('HGET', cov, ARGV[i]) or '') .. ' ' .. ARGV[i + 1], '%x+') do
    if not resolved[head] and not seen_heads[head] then
      seen_heads[head] = true
      heads[#heads + 1] = head
    end
  end
  if #heads > 33 then -- ledger.maxTips, and the current head
    heads = { unknown_tip }
  end
  if #heads == 0 then
    redis.call('HDEL', cov, ARGV[i])
  else
    redis.call('HSET', cov, ARGV[i], table.concat(heads, ' '))
  end
end

-- Removed events. Those that were never recorded are ignored.
local taken = {}
for i = removal + 1, removal + removals do
  if redis.call('SMISMEMBER', seen, ARGV[i])[1] == 1 and redis.call('HSET', removed, ARGV[i], '') == 1 then
    taken[#taken + 1] = ARGV[i]
  end
end
if edge ~= '' and tonumber(edge) > (tonumber(state.edge or '') or -math.huge) then
  note('edge', edge)
end

for i = tally + 1, tally + amounts, 2 do
  redis.pcall('HINCRBY', tallies, ARGV[i], ARGV[i + 1]) -- one that would overflow stays: no write may fail
end
if folds > 0 then
  redis.call('HINCRBY', tallies, overflow, folds)
end

if recorded > 0 or frame ~= '' or #restored > 0 or #taken > 0 then
  local entry = { 'p', state.last or '' }
  if frame ~= '' then
    entry[3], entry[4] = 'c', frame
  end
  if recorded > 0 then
    entry[#entry + 1], entry[#entry + 2] = 'n', records
  end
  if #restored > 0 then
    entry[#entry + 1], entry[#entry + 2] = 'b', table.concat(restored)
  end
  if #taken > 0 then
    entry[#entry + 1], entry[#entry + 2] = 'r', table.concat(taken)
  end
  if folds > 0 then
    entry[#entry + 1], entry[#entry + 2] = 'f', folds
  end
  if fence ~= '0' then
    entry[#entry + 1], entry[#entry + 2] = 't', fence -- for diagnosis only: terms never decrease
  end
  wrote = redis.call('XADD', log, '*', unpack(entry))
  note('last', wrote)
  note('sizes', sizes_of(wrote, state.carried, state.swept, seen, hashes))
end
write('HSET', meta, set)
return { 'OK', recorded, folds, wrote }
