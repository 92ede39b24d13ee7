-- Gives a place back and takes what was learned.
-- KEYS: as in begin.lua
-- ARGV: now, name, resource, remaining, limit, reset or 0, good (1 or 0), limited ('', 'primary' or 'secondary'), its end or 0,
--       first wait, longest wait, time to live, furthest end; times in ms
-- Gives: the end of the limit that was met, 0 when none was.
local state, flight = KEYS[1], KEYS[2]
local now, resource = tonumber(ARGV[1]), ARGV[3]

local function known(field)
  return tonumber(redis.call('HGET', state, field) or 0) or 0
end

local function keep(field, value)
  redis.call('HSET', state, field, string.format('%.0f', value))
end

-- As in begin.lua.
local function closed(field)
  local till, met = known(field), known(field .. ':met')
  return till > now and till < now + tonumber(ARGV[13]) and (met <= 0 or till - now <= 2 * (till - met) + 60000)
end

redis.call('ZREM', flight, ARGV[2])

local remaining, reset = tonumber(ARGV[4]), tonumber(ARGV[6])
if reset > 0 then
  local before = known(resource .. ':reset')
  if before > now + 3660000 then
    before = 0 -- the clock was set back
  end
  if reset > before or (reset == before and remaining < known(resource .. ':remaining')) then
    keep(resource .. ':reset', reset)
    keep(resource .. ':remaining', remaining)
    keep(resource .. ':limit', tonumber(ARGV[5]))
  end
end

local longest = tonumber(ARGV[11])
local waiting = known('waiting')
if waiting > now + longest then
  waiting = 0
end
if ARGV[7] == '1' and now >= waiting then
  redis.call('HDEL', state, 'backoff')
end

local till = 0
if ARGV[8] ~= '' then
  till = tonumber(ARGV[9])
  if till == 0 and now < waiting then
    till = waiting
  elseif till == 0 then
    local wait = known('backoff')
    if wait <= 0 or wait > longest then
      wait = math.max(1000, tonumber(ARGV[10]))
    end
    till = now + wait
    keep('backoff', math.min(2 * wait, longest))
    keep('waiting', till)
  end
  local field = resource .. ':closed'
  if ARGV[8] == 'secondary' then
    field = 'secondary'
  end
  if till > known(field) or not closed(field) then
    keep(field, till)
    keep(field .. ':met', now)
  end
end
redis.call('PEXPIRE', state, ARGV[12])
return string.format('%.0f', till)
