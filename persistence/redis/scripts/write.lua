-- Writes what one commit, event or document changes, or nothing of it.
--
-- KEYS    1 the mark of the partition, 2 what the guard looks at, others by the operations
-- ARGV    1 incarnation, 2 field of the writer, 3 its generation, 4 the guard and what it needs,
--         then operations
-- Answer  {1, count of writes, ...} written; {2, count} it was written before; {0, what is there}
--
-- Nothing is written before every check has passed: Redis takes nothing back.
local mark = redis.call('HMGET', KEYS[1], 'incarnation', ARGV[2])
if mark[1] ~= ARGV[1] then
  return redis.error_reply('INCARNATION ' .. (mark[1] or 'none'))
end
if mark[2] ~= ARGV[3] then
  return redis.error_reply('FENCED ' .. (mark[2] or 'none'))
end

-- younger compares two numbers of eight bytes. Lua compares strings as the
-- locale says, and its numbers have 53 bits.
local function younger(a, b)
  local a1, a2 = struct.unpack('>I4I4', a)
  local b1, b2 = struct.unpack('>I4I4', b)
  return a1 > b1 or (a1 == b1 and a2 > b2)
end

local none = string.rep('\0', 24)
local guard, at = ARGV[4], 5
if guard == 'commit' then
  -- ARGV 5 version expected, 6 parent, 7 stamp of the commit; a stamp is epoch, version, id
  local now, stamp = redis.call('GETRANGE', KEYS[2], 0, 23), ARGV[7]
  if now == '' then now = none end
  if now == stamp and string.sub(stamp, 17) ~= string.sub(none, 1, 8) then
    return {2, tonumber(redis.call('HGET', KEYS[1], 'writes') or 0)}
  end
  if string.sub(now, 9, 16) ~= ARGV[5] or string.sub(now, 17) ~= ARGV[6]
      or younger(string.sub(now, 1, 8), string.sub(stamp, 1, 8)) then
    return {0, now}
  end
  at = 8
elseif guard == 'stamp' then
  -- ARGV 5 the stamp that must be there still
  local now = redis.call('GETRANGE', KEYS[2], 0, 23)
  if now ~= ARGV[5] then return {0, now} end
  at = 6
elseif guard == 'fresh' then
  -- ARGV 5 the field that must not be there yet
  local now = redis.call('HGET', KEYS[2], ARGV[5])
  if now then return {0, now} end
  at = 6
elseif guard == 'same' then
  -- ARGV 5 the field, 6 what must be in it still
  local now = redis.call('HGET', KEYS[2], ARGV[5])
  if now ~= ARGV[6] then return {0, now or ''} end
  at = 7
end

local writes = redis.call('HINCRBY', KEYS[1], 'writes', 1)
while at <= #ARGV do
  local op, key = ARGV[at], KEYS[tonumber(ARGV[at + 1])]
  if op == 'Z' then
    redis.call('ZADD', key, 0, ARGV[at + 2])
    at = at + 3
  elseif op == 'z' then
    redis.call('ZREM', key, ARGV[at + 2])
    at = at + 3
  elseif op == 'H' then
    redis.call('HSET', key, ARGV[at + 2], ARGV[at + 3])
    at = at + 4
  elseif op == 'h' then
    redis.call('HDEL', key, ARGV[at + 2])
    at = at + 3
  elseif op == 'S' then
    redis.call('SET', key, ARGV[at + 2])
    at = at + 3
  elseif op == 'D' then
    redis.call('UNLINK', key)
    at = at + 2
  elseif op == 'R' then
    redis.call('RPUSH', key, ARGV[at + 2])
    at = at + 3
  elseif op == 'F' then
    -- fold: drop rows of records while the row behind still begins at or before the limit
    while true do
      local second = redis.call('LINDEX', key, 1)
      if not second or younger(string.sub(second, 1, 8), ARGV[at + 2]) then break end
      redis.call('LPOP', key)
    end
    at = at + 3
  elseif op == 'N' then
    -- new: the operations up to the given place only when the field is not there yet
    if redis.call('HSETNX', key, ARGV[at + 2], ARGV[at + 3]) == 1 then
      at = at + 5
    else
      at = at + 5 + tonumber(ARGV[at + 4])
    end
  else
    return redis.error_reply('OPERATION ' .. op) -- only another release's script could say so
  end
end
return {1, writes}
