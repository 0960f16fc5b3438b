-- Replaces one user's record, if nobody else did meanwhile.
-- KEYS: meta, users, nodes, timers, then the sets of the incarnations that have sessions of the user
-- from now on, then the sets of those that have none any more.
-- ARGV: epoch, gap, user, node, incarnation, the revision that was read ('0' for no record), the
-- moment that was computed with, the tolerance of it, the new record without its head ('' for none),
-- when the timer is due ('' for never), what changes of what is shown ('online', 'updated',
-- 'offline', 'hidden' or ''), the body to publish, a version that is lower than the next, the
-- `since` to use ('' for a new one), the number of sets to add to, the channel, the bucket.
local user = ARGV[3]
if redis.call('HGET', KEYS[3], ARGV[4]) ~= ARGV[5] then
  return { 'fenced' }
end
local held = redis.call('HGET', KEYS[2], user) or ''
local held_revision, held_version, held_since = string.match(held, '^(%d+) (%d+) (%d+) ')
if (held_revision or '0') ~= ARGV[6] or math.abs(moment - tonumber(ARGV[7])) > tonumber(ARGV[8]) then
  save_clock()
  return { 'stale', held, text(moment), text(wall), epoch }
end

local kind = ARGV[11]
local shown_version, since = held_version or '0', held_since or '0'
if kind == 'online' or kind == 'updated' or kind == 'offline' then
  version = math.max(version + 1, clock_version(), tonumber(ARGV[13]) + 1)
  shown_version = text(version)
  if kind == 'offline' then
    since = '0'
  elseif kind == 'online' then
    since = ARGV[14] ~= '' and ARGV[14] or shown_version
  end
end
if kind ~= '' then
  number = number + 1
end
revision = revision + 1
save_meta()

if ARGV[9] == '' then
  redis.call('HDEL', KEYS[2], user)
else
  redis.call('HSET', KEYS[2], user,
    text(revision) .. ' ' .. shown_version .. ' ' .. since .. ' ' .. ARGV[9])
end
if ARGV[10] == '' then
  redis.call('ZREM', KEYS[4], user)
else
  redis.call('ZADD', KEYS[4], ARGV[10], user)
end
local last_added = 4 + tonumber(ARGV[15])
for index = 5, #KEYS do
  redis.call(index <= last_added and 'SADD' or 'SREM', KEYS[index], user)
end
if kind ~= '' then
  redis.call('PUBLISH', ARGV[16], table.concat(
    { ARGV[17], epoch, text(number), shown_version, since, ARGV[12] }, ' '))
end
return { 'ok', '', text(moment), text(wall), epoch, text(number), shown_version, since }
