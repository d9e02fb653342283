-- Reads rows of records, beginning in the row that holds a number or, when that
-- is gone, at the first.
--
-- KEYS    1 the list
-- ARGV    1 the number, in eight bytes, 2 the most rows
-- Answer  rows
local function later(a, b)
  local a1, a2 = struct.unpack('>I4I4', a)
  local b1, b2 = struct.unpack('>I4I4', b)
  return a1 > b1 or (a1 == b1 and a2 > b2)
end
-- low is a row that begins at or before the number, or the first; high one that begins later
local low, high = 0, redis.call('LLEN', KEYS[1])
while high - low > 1 do
  local middle = math.floor((low + high) / 2)
  if later(redis.call('LINDEX', KEYS[1], middle), ARGV[1]) then high = middle else low = middle end
end
return redis.call('LRANGE', KEYS[1], low, low + tonumber(ARGV[2]) - 1)
