-- Copyright The githubexporter Authors
-- SPDX-License-Identifier: Apache-2.0

-- Extends a lease to its duration from now on. Returns 1, or 0 when another term holds it, or none.
--
-- KEYS  holder
-- ARGV  token, duration in milliseconds
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
