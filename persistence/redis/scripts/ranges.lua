-- Reads ranges of an index as of one moment.
--
-- KEYS    1 the index
-- ARGV    1 'up' or 'down', 2 the most of each range, then pairs: least and greatest
-- Answer  the members of each range
local answer = {}
for i = 3, #ARGV, 2 do
  if ARGV[1] == 'up' then
    answer[#answer + 1] = redis.call('ZRANGEBYLEX', KEYS[1], ARGV[i], ARGV[i + 1], 'LIMIT', 0, ARGV[2])
  else
    answer[#answer + 1] = redis.call('ZREVRANGEBYLEX', KEYS[1], ARGV[i + 1], ARGV[i], 'LIMIT', 0, ARGV[2])
  end
end
return answer
