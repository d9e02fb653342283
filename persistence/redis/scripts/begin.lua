-- Takes the next epoch of the store.
--
-- KEYS    1 what the store knows of itself
-- ARGV    1 incarnation, 2 the least epoch
-- Answer  the epoch
local incarnation = redis.call('HGET', KEYS[1], 'incarnation')
if incarnation ~= ARGV[1] then
  return redis.error_reply('INCARNATION ' .. (incarnation or 'none'))
end
local epoch = math.max(tonumber(redis.call('HGET', KEYS[1], 'epoch') or 0) + 1, tonumber(ARGV[2]))
redis.call('HSET', KEYS[1], 'epoch', string.format('%.0f', epoch))
return epoch
