-- Reads the names and paths that there are in the index of waits by key. It jumps
-- from one to the next, so it costs a look for each of them and not for each wait.
--
-- KEYS    1 the index
-- ARGV    1 least, 2 greatest, 3 the most
-- Answer  what begins their members: name and path
local answer, least = {}, ARGV[1]
while #answer < tonumber(ARGV[3]) do
  local member = redis.call('ZRANGEBYLEX', KEYS[1], least, ARGV[2], 'LIMIT', 0, 1)[1]
  if not member then break end
  local _, name = string.find(member, '\0\1', 1, true)
  local _, path = string.find(member, '\0\1', name + 1, true)
  answer[#answer + 1] = string.sub(member, 1, path)
  least = '[' .. string.sub(member, 1, path - 1) .. '\2'
end
return answer
