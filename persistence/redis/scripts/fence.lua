-- Takes a partition for a generation of a writer: what the writer sent before can
-- not be written any more.
--
-- KEYS    1 the mark of the partition
-- ARGV    1 incarnation, 2 field of the writer, 3 its generation, 4 field of a writer to forget
-- Answer  the count of writes so far
local incarnation = redis.call('HGET', KEYS[1], 'incarnation')
if incarnation ~= ARGV[1] then
  return redis.error_reply('INCARNATION ' .. (incarnation or 'none'))
end
redis.call('HSET', KEYS[1], ARGV[2], ARGV[3])
redis.call('HDEL', KEYS[1], ARGV[4])
return tonumber(redis.call('HGET', KEYS[1], 'writes') or 0)
