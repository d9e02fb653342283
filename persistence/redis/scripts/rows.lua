-- Reads a range of some indexes with the row of each member, as of one moment.
--
-- KEYS    1 the hash of rows, then the indexes
-- ARGV    1 the most of each, 2 least, 3 greatest
-- Answer  of each index the members, and their rows
local answer = {}
for i = 2, #KEYS do
  local members = redis.call('ZRANGEBYLEX', KEYS[i], ARGV[2], ARGV[3], 'LIMIT', 0, ARGV[1])
  answer[#answer + 1] = members
  if #members == 0 then
    answer[#answer + 1] = {}
  else
    answer[#answer + 1] = redis.call('HMGET', KEYS[1], unpack(members))
  end
end
return answer
