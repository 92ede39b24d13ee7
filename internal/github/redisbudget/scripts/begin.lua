-- Takes a place for a request unless a limit is closed, no place is free or the points of the minute are used.
-- KEYS: what is known (hash), requests on their way (sorted set of names by the time when they are given up)
-- ARGV: now, name, given up at, places, resource, interval, burst, largest limit, furthest end, time to live, whether now is
--       a guess (1 or 0); times in ms
-- Gives: how many are on their way, whether there is no place, when there are points again or 0, and the hash.
local state, flight = KEYS[1], KEYS[2]
local now, resource = tonumber(ARGV[1]), ARGV[5]
local furthest = now + tonumber(ARGV[9])

local function known(field)
  return tonumber(redis.call('HGET', state, field) or 0) or 0
end

-- A limit that ends in much more time than it had when it was met is none: the clock was set back.
local function closed(field)
  local till, met = known(field), known(field .. ':met')
  return till > now and till < furthest and (met <= 0 or till - now <= 2 * (till - met) + 60000)
end

-- Limits that are over are taken out, so that they do not come back when the clock is set back.
local function forget()
  local fields = redis.call('HGETALL', state)
  for i = 1, #fields, 2 do
    local field = fields[i]
    if (field == 'secondary' or field:sub(-7) == ':closed') and known(field) <= now then
      redis.call('HDEL', state, field, field .. ':met')
    end
  end
end

local guessed, places = ARGV[11] == '1', tonumber(ARGV[4])
if not guessed then
  forget()
end
if not guessed or redis.call('ZCARD', flight) >= places then
  redis.call('ZREMRANGEBYSCORE', flight, '-inf', '(' .. ARGV[1])
end
local count = redis.call('ZCARD', flight)
local busy, paced = 0, 0
if closed(resource .. ':closed') or closed('secondary') then
  return {count, busy, paced, redis.call('HGETALL', state)}
end
if count >= places then
  busy = 1
else
  local limit = known(resource .. ':limit')
  if now < known(resource .. ':reset') and limit > 0 and limit <= tonumber(ARGV[8]) then
    local next = known(resource .. ':paced')
    if next < now or next > now + tonumber(ARGV[6]) + tonumber(ARGV[7]) + 60000 then -- the clock was set back
      next = now
    end
    if next - tonumber(ARGV[7]) > now then
      paced = next - tonumber(ARGV[7])
    else
      redis.call('HSET', state, resource .. ':paced', string.format('%.0f', next + tonumber(ARGV[6])))
    end
  end
  if paced == 0 then
    redis.call('ZADD', flight, ARGV[3], ARGV[2])
    redis.call('PEXPIRE', flight, ARGV[10])
    redis.call('PEXPIRE', state, ARGV[10])
  end
end
return {count, busy, string.format('%.0f', paced), redis.call('HGETALL', state)}
