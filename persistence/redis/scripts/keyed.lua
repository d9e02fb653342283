-- Reads a range of the index of waits by key, with the row of each wait, as of one moment.
--
-- KEYS    1 the hash of rows, 2 the index
-- ARGV    1 the most, 2 least, 3 greatest
-- Answer  the members, and their rows
--
-- A member is name, path, key and the place of the wait; its row is under name and place.
local members = redis.call('ZRANGEBYLEX', KEYS[2], ARGV[2], ARGV[3], 'LIMIT', 0, ARGV[1])
if #members == 0 then return {members, {}} end
local fields = {}
for i, member in ipairs(members) do
  local _, name = string.find(member, '\0\1', 1, true)
  local _, path = string.find(member, '\0\1', name + 1, true)
  local _, key = string.find(member, '\0\1', path + 1, true)
  fields[i] = string.sub(member, 1, name) .. string.sub(member, key + 1)
end
return {members, redis.call('HMGET', KEYS[1], unpack(fields))}
