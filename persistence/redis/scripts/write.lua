-- Writes what some commits, events and documents change: all of each, or nothing of it.
--
-- KEYS    1 the mark of the partition, others by their numbers
-- ARGV    1 incarnation, 2 field of the writer, 3 its generation, then for each write: how many
--         arguments follow, the guard, the key that it looks at, what it needs, and operations
-- Answer  the count of writes, then for each: 1 written, or {1, claim replaced, letters gone,
--         letters dropped}; 2 it was written before; refused: {0, what is there}, {3, who has the
--         claim}, {4} an event does not stand as it must, {5} too many are kept
--
-- Nothing is written before every check has passed: Redis takes nothing back. Entries
-- of indexes and fields of hashes are gathered, and written with one command for each key.
local mark = redis.call('HMGET', KEYS[1], 'incarnation', ARGV[2], 'writes')
if mark[1] ~= ARGV[1] then
  return redis.error_reply('INCARNATION ' .. (mark[1] or 'none'))
end
if mark[2] ~= ARGV[3] then
  return redis.error_reply('FENCED ' .. (mark[2] or 'none'))
end

-- younger compares two numbers of eight bytes. Lua compares strings as the
-- locale says, and its numbers have 53 bits.
local function younger(a, b)
  if a == b then return false end
  local a1, a2 = struct.unpack('>I4I4', a)
  local b1, b2 = struct.unpack('>I4I4', b)
  return a1 > b1 or (a1 == b1 and a2 > b2)
end

local none = string.rep('\0', 24)
local stamps, fresh = {}, {} -- what the writes before, in this call, leave behind

-- check looks whether a write may be made. It returns the place of its operations and
-- what a claim replaces, or nil and the answer.
local function check(at)
  local guard, key = ARGV[at], ARGV[at + 1]
  if guard == 'none' then return at + 2 end
  local subject = KEYS[tonumber(key)]
  if guard == 'commit' or guard == 'claiming' then
    -- version expected, parent, stamp of the commit; a stamp is epoch, version, id
    local stamp = ARGV[at + 4]
    local now = stamps[key] or redis.call('GETRANGE', subject, 0, 23)
    if now == '' then now = none end
    if now == stamp and string.sub(stamp, 17) ~= string.sub(none, 1, 8) then return nil, 2 end
    if string.sub(now, 9, 16) ~= ARGV[at + 2] or string.sub(now, 17) ~= ARGV[at + 3]
        or younger(string.sub(now, 1, 8), string.sub(stamp, 1, 8)) then
      return nil, {0, now}
    end
    at = at + 5
    if guard == 'claiming' then
      -- key of claims, field, execution: who has it must be nobody else; or '' for a claim
      -- that was made elsewhere; key of barred commits
      if ARGV[at] ~= '' then
        local claim = redis.call('HGET', KEYS[tonumber(ARGV[at])], ARGV[at + 1])
        if claim and string.sub(claim, 17) ~= ARGV[at + 2] then return nil, {3, claim} end
      elseif now == none and redis.call('SISMEMBER', KEYS[tonumber(ARGV[at + 3])], string.sub(stamp, 17)) == 1 then
        return nil, {0, now}
      end
      at = at + 4
    end
    stamps[key] = stamp
    return at
  elseif guard == 'fresh' then
    -- the field that must not be there yet, and what will be in it
    local field = ARGV[at + 2]
    local now = fresh[field] or redis.call('HGET', subject, field)
    if now then return nil, {0, now} end
    fresh[field] = ARGV[at + 3]
    return at + 4
  elseif guard == 'claim' then
    -- field, execution, the claim that may be replaced
    local now, time = redis.call('HGET', subject, ARGV[at + 2]), redis.call('TIME')
    if now and now ~= ARGV[at + 4] and string.sub(now, 17) ~= ARGV[at + 3] then
      return nil, {0, now, tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)}
    end
    return at + 5, now or ''
  elseif guard == 'take' then
    -- event, commit: nobody else may be taking it
    local now = redis.call('HGET', subject, ARGV[at + 2])
    if now and string.sub(now, 1, 8) ~= ARGV[at + 3] then return nil, {0, now} end
    return at + 4
  elseif guard == 'held' then
    -- event, commit: it must be the one that is taking it
    local now = redis.call('HGET', subject, ARGV[at + 2]) or ''
    if string.sub(now, 1, 8) ~= ARGV[at + 3] then return nil, {0, now} end
    return at + 4
  elseif guard == 'absent' then
    if redis.call('EXISTS', subject) == 1 then return nil, {0, ''} end
    return at + 2
  elseif guard == 'stamp' then
    -- the stamp that must be there still
    local now = redis.call('GETRANGE', subject, 0, 23)
    if now ~= ARGV[at + 2] then return nil, {0, now} end
    return at + 3
  elseif guard == 'same' then
    -- the field, and '=' with what must be in it still; '' for nothing
    local now = redis.call('HGET', subject, ARGV[at + 2])
    if (now and '=' .. now or '') ~= ARGV[at + 3] then return nil, {0, now or ''} end
    return at + 4
  end
  return nil, redis.error_reply('GUARD ' .. guard) -- only another release's script could say so
end

-- holds goes through the conditions that stand before the operations. It returns the place
-- behind them, or nil and the answer.
local function holds(from, what)
  while from do
    local condition, key, value = ARGV[from], KEYS[tonumber(ARGV[from + 1])], ARGV[from + 2]
    if condition == '?' then
      -- a member that must be there
      if not redis.call('ZSCORE', key, value) then return nil, {4} end
    elseif condition == '-' then
      -- a field that must not be there
      if redis.call('HEXISTS', key, value) == 1 then return nil, {4} end
    elseif condition == '!' then
      -- a commit that must not be barred
      if redis.call('SISMEMBER', key, value) == 1 then return nil, {4} end
    elseif condition == '=' then
      -- a field with a value that must begin with one of the letters
      local now = redis.call('HGET', key, value)
      if not now or not string.find(ARGV[from + 3], string.sub(now, 1, 1), 1, true) then return nil, {4} end
      from = from + 1
    elseif condition == '<' then
      -- a member for which there must be room, among so many
      if redis.call('ZCARD', key) >= tonumber(ARGV[from + 3]) and not redis.call('ZSCORE', key, value) then return nil, {5} end
      from = from + 1
    else
      return from, what
    end
    from = from + 3
  end
  return nil, what
end

-- passes is check with the conditions. What follows a commit that does not pass finds what
-- was there before it.
local function passes(at)
  local commit, subject = ARGV[at] == 'commit' or ARGV[at] == 'claiming', ARGV[at + 1]
  local before = stamps[subject]
  local from, what = holds(check(at))
  if not from and commit then stamps[subject] = before end
  return from, what
end

local answer, todo = {0}, {}
local at = 4
while at <= #ARGV do
  local stop = at + 1 + tonumber(ARGV[at])
  local from, what = passes(at + 1)
  if from then
    todo[#todo + 1] = {#answer + 1, from, stop, what}
    what = 1
  elseif type(what) == 'table' and what.err then
    return what
  end
  answer[#answer + 1] = what
  at = stop
end
answer[1] = tonumber(mark[3] or 0)
if #todo == 0 then return answer end

-- What is gathered: members and fields by key, values of strings, sums of the books.
local members, fields, strings, sums, names = {}, {}, {}, {}, {}
local function into(all, key)
  local of = all[key]
  if not of then
    of = {}
    all[key] = of
  end
  return of
end

-- account adds to what the books gain of a name.
local function account(key, name, most, by)
  local sum = sums[name]
  if not sum then
    sum = {0, 0, 0, 0, 0}
    sums[name] = sum
    names[#names + 1] = {key, name, most}
  end
  for i = 1, 5 do sum[i] = sum[i] + by[i] end
end

-- book writes that to the row of the name, or to that of the rest. A row is how many
-- were accepted, consumed, buffered, expired and dead.
local function book(key, name, most)
  local by, now = sums[name], {}
  local row = redis.call('HGET', key, name)
  if not row and name ~= '' and (redis.call('HEXISTS', key, '') == 1 or redis.call('HLEN', key) >= tonumber(most)) then
    name = ''
    row = redis.call('HGET', key, name)
  end
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

-- apply does the operations from at up to stop.
local function apply(at, stop)
  while at < stop do
    local op, key = ARGV[at], KEYS[tonumber(ARGV[at + 1])]
    if op == 'Z' then
      into(members, key)[ARGV[at + 2]] = true
      at = at + 3
    elseif op == 'z' then
      into(members, key)[ARGV[at + 2]] = false
      at = at + 3
    elseif op == 'H' then
      into(fields, key)[ARGV[at + 2]] = ARGV[at + 3]
      at = at + 4
    elseif op == 'h' then
      into(fields, key)[ARGV[at + 2]] = false
      at = at + 3
    elseif op == 'S' then
      strings[key] = ARGV[at + 2]
      at = at + 3
    elseif op == 'R' then
      redis.call('RPUSH', key, ARGV[at + 2])
      at = at + 3
    elseif op == 'D' then
      redis.call('UNLINK', key)
      at = at + 2
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
      local events, event = KEYS[tonumber(ARGV[at + 4])], ARGV[at + 5]
      local was = into(fields, events)[event]
      if was == nil then was = redis.call('HGET', events, event) end
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
    elseif op == 'C' then
      -- claim: field, commit, execution
      local time = redis.call('TIME')
      local ms = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
      redis.call('HSET', key, ARGV[at + 2], ARGV[at + 3] .. struct.pack('>I4I4', math.floor(ms / 4294967296), ms % 4294967296) .. ARGV[at + 4])
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
      error('OPERATION ' .. op) -- only another release's script could say so
    end
  end
end

-- most arguments of one command: Lua has room for some thousands.
local most = 2000
local function flush(command, all)
  for key, list in pairs(all) do
    for from = 1, #list, most do
      redis.call(command, key, unpack(list, from, math.min(from + most - 1, #list)))
    end
  end
end

for _, w in ipairs(todo) do
  gone, dropped = 0, 0
  apply(w[2], w[3])
  if w[4] or gone > 0 then answer[w[1]] = {1, w[4] or '', gone, dropped} end
end
local enter, leave, put, drop, set = {}, {}, {}, {}, {}
for key, of in pairs(members) do
  for member, there in pairs(of) do
    local list = into(there and enter or leave, key)
    if there then list[#list + 1] = 0 end
    list[#list + 1] = member
  end
end
for key, of in pairs(fields) do
  for field, value in pairs(of) do
    local list = into(value and put or drop, key)
    list[#list + 1] = field
    if value then list[#list + 1] = value end
  end
end
for key, value in pairs(strings) do
  set[#set + 1] = key
  set[#set + 1] = value
end
for from = 1, #set, most do
  redis.call('MSET', unpack(set, from, math.min(from + most - 1, #set)))
end
flush('ZADD', enter)
flush('ZREM', leave)
flush('HSET', put)
flush('HDEL', drop)
for _, n in ipairs(names) do book(n[1], n[2], n[3]) end
answer[1] = redis.call('HINCRBY', KEYS[1], 'writes', #todo)
return answer
