-- Writes what one commit, event or document changes, or nothing of it.
--
-- KEYS    1 the mark of the partition, 2 what the guard looks at, others by the operations
-- ARGV    1 incarnation, 2 field of the writer, 3 its generation, 4 the guard and what it needs,
--         then operations
-- Answer  {1, count of writes, ...} written; {2, count} it was written before;
--         {0, what is there} or {3, who has the claim} refused
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
if guard == 'commit' or guard == 'claiming' then
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
  if guard == 'claiming' then
    -- ARGV 8 key of claims, 9 field, 10 execution: who has it must be nobody else; or
    -- '' for a claim that was made elsewhere; 11 key of barred commits
    if ARGV[8] ~= '' then
      local claim = redis.call('HGET', KEYS[tonumber(ARGV[8])], ARGV[9])
      if claim and string.sub(claim, 17) ~= ARGV[10] then return {3, claim} end
    elseif now == none and redis.call('SISMEMBER', KEYS[tonumber(ARGV[11])], string.sub(stamp, 17)) == 1 then
      return {0, now}
    end
    at = 12
  end
elseif guard == 'claim' then
  -- ARGV 5 field, 6 commit, 7 execution, 8 the claim that may be replaced
  local now, time = redis.call('HGET', KEYS[2], ARGV[5]), redis.call('TIME')
  local ms = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
  if now and now ~= ARGV[8] and string.sub(now, 17) ~= ARGV[7] then return {0, now, ms} end
  redis.call('HINCRBY', KEYS[1], 'writes', 1)
  redis.call('HSET', KEYS[2], ARGV[5], ARGV[6] .. struct.pack('>I4I4', math.floor(ms / 4294967296), ms % 4294967296) .. ARGV[7])
  return {1, tonumber(redis.call('HGET', KEYS[1], 'writes')), now or ''}
elseif guard == 'absent' then
  if redis.call('EXISTS', KEYS[2]) == 1 then return {0, ''} end
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

-- account adds to the row of a name in the books, or to that of the rest. A row is
-- how many were accepted, consumed, buffered, expired and dead.
local function account(key, name, most, by)
  local row = redis.call('HGET', key, name)
  if not row and name ~= '' and (redis.call('HEXISTS', key, '') == 1 or redis.call('HLEN', key) >= tonumber(most)) then
    name = ''
    row = redis.call('HGET', key, name)
  end
  local now = {}
  for n in string.gmatch(row or '0 0 0 0 0', '%S+') do
    now[#now + 1] = string.format('%.0f', tonumber(n) + by[#now + 1])
  end
  redis.call('HSET', key, name, table.concat(now, ' '))
end

-- The keys of dead letters stand together: ids, rows, summaries, bytes, and an
-- index for each class.
local gone, dropped = 0, 0
local function bury(k, id)
  local entry = redis.call('HGET', KEYS[k], id)
  if not entry then return end
  local class, size, member = string.sub(entry, 1, 1), tonumber(string.sub(entry, 2, 11)), string.sub(entry, 12)
  redis.call('HDEL', KEYS[k], id)
  redis.call('HDEL', KEYS[k + 1], member)
  redis.call('HDEL', KEYS[k + 2], member)
  redis.call('HINCRBY', KEYS[k + 3], class, -size)
  redis.call('ZREM', KEYS[k + 4 + tonumber(class)], member)
  gone = gone + 1
end
local function idOf(member)
  local id = string.gsub(string.sub(member, 9, -3), '%z\255', '\0')
  return id
end

local columns = {b = 3, c = 2, x = 4, d = 5}
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
  elseif op == 'A' then
    -- account: name, most names, five numbers
    local by = {}
    for i = 1, 5 do by[i] = tonumber(ARGV[at + 3 + i]) end
    account(key, ARGV[at + 2], ARGV[at + 3], by)
    at = at + 9
  elseif op == 'M' then
    -- move an event in the books: name, most names, key of events, event, column it goes to
    local was = redis.call('HGET', KEYS[tonumber(ARGV[at + 4])], ARGV[at + 5])
    local to, by = columns[ARGV[at + 6]], {0, 0, 0, 0, 0}
    local from = was and columns[string.sub(was, 1, 1)]
    if from ~= to then
      if from then by[from] = -1 else by[1] = 1 end
      by[to] = 1
      account(key, ARGV[at + 2], ARGV[at + 3], by)
    end
    at = at + 7
  elseif op == 'K' then
    -- keep a dead letter: id, class, member, size, row, summary
    local k, id, class, member = tonumber(ARGV[at + 1]), ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]
    bury(k, id)
    redis.call('HSET', KEYS[k], id, class .. string.format('%010d', tonumber(ARGV[at + 5])) .. member)
    redis.call('HSET', KEYS[k + 1], member, ARGV[at + 6])
    redis.call('HSET', KEYS[k + 2], member, ARGV[at + 7])
    redis.call('HINCRBY', KEYS[k + 3], class, ARGV[at + 5])
    redis.call('ZADD', KEYS[k + 4 + tonumber(class)], 0, member)
    at = at + 8
  elseif op == 'G' then
    bury(tonumber(ARGV[at + 1]), ARGV[at + 2])
    at = at + 3
  elseif op == 'O' then
    -- the oldest letters of a class go while there are too many: class, most, most bytes
    local k, class = tonumber(ARGV[at + 1]), ARGV[at + 2]
    local index = KEYS[k + 4 + tonumber(class)]
    while redis.call('ZCARD', index) > tonumber(ARGV[at + 3])
        or tonumber(redis.call('HGET', KEYS[k + 3], class) or 0) > tonumber(ARGV[at + 4]) do
      local oldest = redis.call('ZREVRANGEBYLEX', index, '+', '-', 'LIMIT', 0, 1)
      if #oldest == 0 then break end
      bury(k, idOf(oldest[1]))
      dropped = dropped + 1
    end
    at = at + 5
  elseif op == 'Y' then
    -- letters of a class that died early go, the oldest first: class, least member, most
    local k, class = tonumber(ARGV[at + 1]), ARGV[at + 2]
    for _, member in ipairs(redis.call('ZREVRANGEBYLEX', KEYS[k + 4 + tonumber(class)], '+', ARGV[at + 3], 'LIMIT', 0, ARGV[at + 4])) do
      bury(k, idOf(member))
    end
    at = at + 5
  elseif op == 'U' then
    -- unclaim: drop a claim if the execution has it, and by that commit if one is given
    local claim = redis.call('HGET', key, ARGV[at + 2])
    if claim and string.sub(claim, 17) == ARGV[at + 3] and (ARGV[at + 4] == '' or string.sub(claim, 1, 8) == ARGV[at + 4]) then
      redis.call('HDEL', key, ARGV[at + 2])
    end
    at = at + 5
  elseif op == 'B' then
    -- bar a commit, for so many seconds
    redis.call('SADD', key, ARGV[at + 2])
    redis.call('EXPIRE', key, ARGV[at + 3])
    at = at + 4
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
return {1, writes, '', gone, dropped}
