-- Copyright The githubexporter Authors
-- SPDX-License-Identifier: Apache-2.0

-- Reserves a slot for a request unless a limit blocks it, no slot is free or the points of the minute are used up.
-- KEYS: state of the limits (hash), requests in flight (sorted set of their ids by the time when their slots expire)
-- ARGV: now, id, slot expires at, slots, resource, interval, burst, largest paced limit, longest limit, time to live,
--       whether the clock is unsynced (1 or 0); times in ms
-- Returns: requests in flight, whether the slots are full, when there are points again or 0, and the hash.
local state, flight = KEYS[1], KEYS[2]
local now, resource = tonumber(ARGV[1]), ARGV[5]
local max_end = now + tonumber(ARGV[9])

local function field_value(field)
  return tonumber(redis.call('HGET', state, field) or 0) or 0
end

-- A limit that ends in much more time than it had when it was met is not active: the clock was set back.
local function is_active(field)
  local limit_end, met = field_value(field), field_value(field .. ':met')
  return limit_end > now and limit_end < max_end
    and (met <= 0 or limit_end - now <= 2 * (limit_end - met) + 60000)
end

-- Deletes limits that are over, so that they do not block again when the clock is set back.
local function delete_ended_limits()
  local fields = redis.call('HGETALL', state)
  for i = 1, #fields, 2 do
    local field = fields[i]
    if (field == 'secondary' or field:sub(-7) == ':closed') and field_value(field) <= now then
      redis.call('HDEL', state, field, field .. ':met')
    end
  end
end

local unsynced, slots = ARGV[11] == '1', tonumber(ARGV[4])
if not unsynced then
  delete_ended_limits()
end
if not unsynced or redis.call('ZCARD', flight) >= slots then
  redis.call('ZREMRANGEBYSCORE', flight, '-inf', '(' .. ARGV[1])
end
local count = redis.call('ZCARD', flight)
local slots_full, paced_until = 0, 0
if is_active(resource .. ':closed') or is_active('secondary') then
  return {count, slots_full, paced_until, redis.call('HGETALL', state)}
end
if count >= slots then
  slots_full = 1
else
  local limit = field_value(resource .. ':limit')
  if now < field_value(resource .. ':reset') and limit > 0 and limit <= tonumber(ARGV[8]) then
    local next = field_value(resource .. ':paced')
    if next < now or next > now + tonumber(ARGV[6]) + tonumber(ARGV[7]) + 60000 then -- the clock was set back
      next = now
    end
    if next - tonumber(ARGV[7]) > now then
      paced_until = next - tonumber(ARGV[7])
    else
      redis.call('HSET', state, resource .. ':paced', string.format('%.0f', next + tonumber(ARGV[6])))
    end
  end
  if paced_until == 0 then
    redis.call('ZADD', flight, ARGV[3], ARGV[2])
    redis.call('PEXPIRE', flight, ARGV[10])
    redis.call('PEXPIRE', state, ARGV[10])
  end
end
return {count, slots_full, string.format('%.0f', paced_until), redis.call('HGETALL', state)}
