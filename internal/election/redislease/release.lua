-- Copyright The githubexporter Authors
-- SPDX-License-Identifier: Apache-2.0

-- Releases a lease, unless another term holds it. Returns 1, or 0 without effect.
--
-- KEYS  holder
-- ARGV  token
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
return redis.call('DEL', KEYS[1])
