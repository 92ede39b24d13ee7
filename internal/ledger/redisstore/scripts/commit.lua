-- Commits a batch, whole or not at all. Nothing is written before everything has been checked. whole.lua stands before
-- it.
--
-- KEYS  meta, seen, series, cov, samples, tallies, log, removed, carried: all of one organization
-- ARGV  head: fence, expected epoch, new epoch, expected pruned, edge, said, room, grant from, grant, overflow's field,
--       began, the last entry that the client wrote; then lists, each after its length: see commit.go
-- Gives {'OK', recorded, folded, the log's last entry}, or without having written anything {'FENCED'}, {'STALE'} (what the client expects is
-- not so: it looks and comes again) or {'ROOM', granted, wanted} (there are more series than granted). {'DAMAGED'} says that
-- keys or entries of the ledger are gone, and that the script has deleted the rest: the ledger begins again. {'LOST'} says
-- that the log lacks the entry that the client wrote last, as after a failover.
local meta, seen, series, cov, samples, tallies, log, removed, carried = unpack(KEYS)
local fence, epoch, new_epoch, pruned, edge, said, room, grant_from, grant, overflow, began, wrote = unpack(ARGV, 1, 12)
local at = 12
local CHUNK = 1000 -- unpack's results must fit Lua's stack
local byte, sub = string.byte, string.sub

-- a list's first index before, and its length
local function list()
  at = at + 1
  local n, first = tonumber(ARGV[at]), at
  at = at + n
  return first, n
end

-- decimal numbers of any length without leading zeros
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

local hashes = { series, cov, samples, tallies, removed, carried }

local function is_damaged()
  local lasts = state.last or ''
  if epoch == '' then -- meta is gone, or there never was one
    for i = 1, #hashes do
      if redis.call('HLEN', hashes[i]) > 0 then
        return true
      end
    end
    return redis.call('SCARD', seen) > 0 or #redis.call('XRANGE', log, '-', '+', 'COUNT', 1) > 0
  end
  if state.whole then
    return not is_whole(state, seen, log, hashes, edge == '')
  end
  -- From before there were marks: what can be checked is that the log ends where it should, and that events have keys and
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
if wrote ~= '' and wrote ~= state.last and not is_cut(wrote, state.swept) and #redis.call('XRANGE', log, wrote, wrote) == 0 then
  return { 'LOST' }
end

-- Whether a first contact can be read: two times in seconds.
local function whole(value)
  local contact, since = string.match(value, '^%-?(%d+) %-?(%d+)$')
  return contact and #contact <= 18 and #since <= 18
end

-- Repositories that the batch introduces: field, value, ...
local intro, intros = list()
for i = intro + 1, intro + intros, 2 do
  local have = redis.call('HGET', cov, ARGV[i])
  if have and have ~= ARGV[i + 1] and whole(have) then
    return { 'STALE' } -- what is damaged is met again
  end
end

-- Events: members of the set, then their records in one string, then the length of each record in two bytes, then the place
-- of each one's series in two bytes.
local field, events = list()
local records, lengths, place = ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
at = at + 3
-- Series: fields, then the length of the repository's part in one byte each, then the newest event ('' for "_other").
local name, named = list()
local head = ARGV[at + 1]
at = at + 1
local newest = list()
local other = ARGV[at + 1]
at = at + 1

-- Mostly all events of a batch are new: then there is nothing to do for each of them here, and "fresh" stays empty.
local fresh, recorded, all = {}, 0, true
local had = {} -- keys of events that were recorded before
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

local last = {} -- by series: its newest event so far, or false
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

local used = {} -- series with fresh events
if all then
  for s = 1, named do
    used[s] = s
  end
else
  local met = {}
  for k = 1, recorded do
    local s = two(place, fresh[k])
    if not met[s] then
      met[s] = true
      used[#used + 1] = s
    end
  end
end
local order = {} -- those of them that are new
for k = 1, #used do
  local s = used[k]
  if not last[s] and ARGV[newest + s] ~= '' then
    order[#order + 1] = s
  end
end

local folded = {}
local folds = 0
local granted = state.granted or ''
if room ~= 'any' and #order > 0 then
  if grant ~= '' and granted == grant_from then
    granted = grant
  end
  local have = math.max(0, redis.call('HLEN', series) - 1) -- but for the mark
  local free = (tonumber(granted) or 0) - have
  if free < #order then
    if room ~= 'final' or granted ~= grant then
      return { 'ROOM', state.granted or '', have + #order }
    end
    for k = math.max(free, 0) + 1, #order do
      folded[order[k]] = true
      folds = folds + 1
    end
  end
end

-- From here on everything is written.
local set = {} -- of meta
local function note(name, value)
  set[#set + 1] = name
  set[#set + 1] = value
end
if fence ~= '0' and fence ~= state.fence then
  note('fence', fence)
end
if not state.whole then
  mark_whole(meta, epoch == '' and new_epoch or epoch, seen, hashes)
end
if epoch == '' then
  note('epoch', new_epoch)
  note('began', began)
end
if granted ~= (state.granted or '') then
  note('granted', granted)
end

-- The records of the fresh events, those of folded users with another actor at their end.
local function cut()
  local out, from, k = {}, 1, 1
  for i = 1, events do
    local length = two(lengths, i)
    if all or fresh[k] == i then
      local s = two(place, i)
      if folded[s] then
        local actor = #ARGV[name + s] - byte(head, s)
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

-- What was removed and is there again.
local restored = {}
if #had > 0 and redis.call('HLEN', removed) > 1 then -- more than the mark
  for k = 1, #had do
    if redis.call('HDEL', removed, had[k]) == 1 then
      restored[#restored + 1] = had[k]
    end
  end
end

-- Coverage: fields to set, the same as what is there if it can be read; fields to set; fields to delete.
for i = intro + 1, intro + intros, 2 do
  redis.call('HSET', cov, ARGV[i], ARGV[i + 1])
end
local value, values = list()
for i = value + 1, value + values, 2 do
  redis.call('HSET', cov, ARGV[i], ARGV[i + 1])
end
local gone, gones = list()
for i = gone + 1, gone + gones do
  redis.call('HDEL', cov, ARGV[i])
end
-- Values of which the newest observation wins: "observed value", in the coverage and among the samples.
local function observe(key)
  local first, n = list()
  for i = first + 1, first + n, 2 do
    local have = redis.call('HGET', key, ARGV[i])
    local before = have and tonumber(string.match(have, '^%-?%d+')) or nil
    if not before or before <= tonumber(string.match(ARGV[i + 1], '^%-?%d+')) then
      redis.call('HSET', key, ARGV[i], ARGV[i + 1])
    end
  end
end
observe(cov)
observe(samples)

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

-- field, what was missed, what was read
local window, windows = list()
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
-- field, heads from which commits were listed, heads that are settled
local lost_tip = string.rep('0', 40)
local tip, tips = list()
for i = tip + 1, tip + tips, 3 do
  local settled, met, heads = {}, {}, {}
  for head in string.gmatch(ARGV[i + 2], '%x+') do
    settled[head] = true
  end
  for head in string.gmatch((redis.call('HGET', cov, ARGV[i]) or '') .. ' ' .. ARGV[i + 1], '%x+') do
    if not settled[head] and not met[head] then
      met[head] = true
      heads[#heads + 1] = head
    end
  end
  if #heads > 33 then -- ledger.maxTips, and the head
    heads = { lost_tip }
  end
  if #heads == 0 then
    redis.call('HDEL', cov, ARGV[i])
  else
    redis.call('HSET', cov, ARGV[i], table.concat(heads, ' '))
  end
end

-- Events that are not there any more. One that was never recorded is none.
local removal, removals = list()
local taken = {}
for i = removal + 1, removal + removals do
  if redis.call('SMISMEMBER', seen, ARGV[i])[1] == 1 and redis.call('HSET', removed, ARGV[i], '') == 1 then
    taken[#taken + 1] = ARGV[i]
  end
end
if edge ~= '' and tonumber(edge) > (tonumber(state.edge or '') or -math.huge) then
  note('edge', edge)
end

local tally, amounts = list()
for i = tally + 1, tally + amounts, 2 do
  redis.pcall('HINCRBY', tallies, ARGV[i], ARGV[i + 1]) -- one that would overflow stays as it is: nothing may fail from here on
end
if folds > 0 then
  redis.call('HINCRBY', tallies, overflow, folds)
end

if recorded > 0 or said ~= '' or #restored > 0 or #taken > 0 then
  local entry = { 'p', state.last or '' }
  if said ~= '' then
    entry[3], entry[4] = 'c', said
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
    entry[#entry + 1], entry[#entry + 2] = 't', fence -- nobody needs it, but who looks sees that terms only grow
  end
  wrote = redis.call('XADD', log, '*', unpack(entry))
  note('last', wrote)
  note('sizes', sizes_of(wrote, state.carried, state.swept, seen, hashes))
end
write('HSET', meta, set)
return { 'OK', recorded, folds, wrote }
