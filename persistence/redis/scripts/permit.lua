-- Looks whether the user may run the commands of the other scripts, with the keys of
-- the store. A Redis before 7 cannot be asked.
--
-- KEYS    none: it is sent to every node of a cluster
-- ARGV    1 what the keys begin with, then commands
-- Answer  those that the user may not run
local answer = {}
if not redis.acl_check_cmd then return answer end
for i = 2, #ARGV do
  if not redis.acl_check_cmd(ARGV[i], ARGV[1], ARGV[1], ARGV[1], ARGV[1]) then answer[#answer + 1] = ARGV[i] end
end
return answer
