-- Reads a dead letter.
--
-- KEYS    1 the hash of ids, 2 the hash of rows
-- ARGV    1 the id
-- Answer  the row, or nothing
local entry = redis.call('HGET', KEYS[1], ARGV[1])
return entry and redis.call('HGET', KEYS[2], string.sub(entry, 12))
