-- Adds sign-outs to the list and removes others, and returns the list if it is not the one that the
-- caller knows.
-- KEYS: the list (sorted set, by the moment of adding), its stamp (`<list> <change>`).
-- ARGV: the stamp that the caller knows, the name of a new list, life in ms, the most items, how
-- many items to add, those, and the items to remove.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local life, most, adds = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local stamp = redis.call('GET', KEYS[2])
local changes = 0
for n = 6, 5 + adds do
  if redis.call('ZCARD', KEYS[1]) < most then
    changes = changes + redis.call('ZADD', KEYS[1], 'NX', now, ARGV[n])
  end
end
for n = 6 + adds, #ARGV do
  changes = changes + redis.call('ZREM', KEYS[1], ARGV[n])
end
-- Sessions that ended so long ago have expired.
if changes > 0 then
  redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - life)
end
if changes > 0 or not stamp then
  local list, change = string.match(stamp or '', '^(%S+) (%d+)$')
  stamp = (list or ARGV[2]) .. ' ' .. string.format('%d', (change or 0) + 1)
  redis.call('SET', KEYS[2], stamp, 'PX', ARGV[3])
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
if stamp == ARGV[1] then return { stamp, false } end
return { stamp, redis.call('ZRANGE', KEYS[1], 0, -1) }
