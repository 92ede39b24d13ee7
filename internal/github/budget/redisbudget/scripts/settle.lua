-- Copyright The githubexporter Authors
-- SPDX-License-Identifier: Apache-2.0

-- Releases the slot of a request and merges what its response reported.
-- KEYS: as in reserve.lua
-- ARGV: now, id, resource, remaining, limit, reset or 0, success (1 or 0), limited ('', 'primary' or 'secondary'), its
-- end
--       or 0, initial backoff, longest backoff, time to live, longest limit; times in ms
-- Returns: the end of the limit that was exceeded, 0 when none was.
local state, flight = KEYS[1], KEYS[2]
local now, resource = tonumber(ARGV[1]), ARGV[3]

local function field_value(field)
  return tonumber(redis.call('HGET', state, field) or 0) or 0
end

local function set_field(field, value)
  redis.call('HSET', state, field, string.format('%.0f', value))
end

-- As in reserve.lua.
local function is_active(field)
  local limit_end, met = field_value(field), field_value(field .. ':met')
  return limit_end > now and limit_end < now + tonumber(ARGV[13])
    and (met <= 0 or limit_end - now <= 2 * (limit_end - met) + 60000)
end

redis.call('ZREM', flight, ARGV[2])

local remaining, reset = tonumber(ARGV[4]), tonumber(ARGV[6])
if reset > 0 then
  local stored = field_value(resource .. ':reset')
  if stored > now + 3660000 then
    stored = 0 -- the clock was set back
  end
  if reset > stored or (reset == stored and remaining < field_value(resource .. ':remaining')) then
    set_field(resource .. ':reset', reset)
    set_field(resource .. ':remaining', remaining)
    set_field(resource .. ':limit', tonumber(ARGV[5]))
  end
end

local longest = tonumber(ARGV[11])
local backoff_until = field_value('waiting')
if backoff_until > now + longest then
  backoff_until = 0
end
if ARGV[7] == '1' and now >= backoff_until then
  redis.call('HDEL', state, 'backoff')
end

local limit_end = 0
if ARGV[8] ~= '' then
  limit_end = tonumber(ARGV[9])
  if limit_end == 0 and now < backoff_until then
    limit_end = backoff_until
  elseif limit_end == 0 then
    local backoff = field_value('backoff')
    if backoff <= 0 or backoff > longest then
      backoff = math.max(1000, tonumber(ARGV[10]))
    end
    limit_end = now + backoff
    set_field('backoff', math.min(2 * backoff, longest))
    set_field('waiting', limit_end)
  end
  local field = resource .. ':closed'
  if ARGV[8] == 'secondary' then
    field = 'secondary'
  end
  if limit_end > field_value(field) or not is_active(field) then
    set_field(field, limit_end)
    set_field(field .. ':met', now)
  end
end
redis.call('PEXPIRE', state, ARGV[12])
return string.format('%.0f', limit_end)
