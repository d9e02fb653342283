-- Reads ranges of indexes as of one moment.
--
-- KEYS    the indexes
-- ARGV    1 'up' or 'down', 2 the most of each range, then triples: number of the index, least, greatest
-- Answer  the members of each range
local answer = {}
for i = 3, #ARGV, 3 do
  local index = KEYS[tonumber(ARGV[i])]
  if ARGV[1] == 'up' then
    answer[#answer + 1] = redis.call('ZRANGEBYLEX', index, ARGV[i + 1], ARGV[i + 2], 'LIMIT', 0, ARGV[2])
  else
    answer[#answer + 1] = redis.call('ZREVRANGEBYLEX', index, ARGV[i + 2], ARGV[i + 1], 'LIMIT', 0, ARGV[2])
  end
end
return answer
