-- What scripts share: whether the keys of a ledger belong together. Eviction and DEL take whole
-- keys; a ledger of which one is gone would count twice, or show less. Each hash has the epoch in a field, the
-- set a member, and the log the entry that meta calls its last. None of them can be mistaken for anything else in its
-- key.
local MARK = '\0'

local function is_whole(epoch, last, seen, log, hashes)
  for i = 1, #hashes do
    if redis.call('HGET', hashes[i], MARK) ~= epoch then
      return false
    end
  end
  return redis.call('SMISMEMBER', seen, MARK)[1] == 1 and (last == '' or #redis.call('XRANGE', log, last, last) == 1)
end

-- Marks the keys of a ledger that begins, or of one that was written before there were marks.
local function mark_whole(meta, epoch, seen, hashes)
  for i = 1, #hashes do
    redis.call('HSET', hashes[i], MARK, epoch)
  end
  redis.call('SADD', seen, MARK)
  redis.call('HSET', meta, 'whole', '1')
end
