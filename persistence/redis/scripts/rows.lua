-- Reads a range of an index with the row of each member, as of one moment.
--
-- KEYS    1 the index, 2 the hash of rows
-- ARGV    1 the most, 2 least, 3 greatest
-- Answer  the members, and their rows
local members = redis.call('ZRANGEBYLEX', KEYS[1], ARGV[2], ARGV[3], 'LIMIT', 0, ARGV[1])
if #members == 0 then return {members, {}} end
return {members, redis.call('HMGET', KEYS[2], unpack(members))}
