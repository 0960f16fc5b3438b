-- Writes this node's entry, and reads all entries and the secret that nodes share.
-- KEYS: the hash of nodes; the secret.
-- ARGV: the tag; the entry, or '' to write none; the secret to set if there is none;
--   milliseconds after which an entry that nobody writes is removed.
-- Returns the secret, then a tag and its value for each node. A value is the moment of its last
-- write, in milliseconds of this clock, a space, and the entry.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
if ARGV[2] ~= '' then
  redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f', now) .. ' ' .. ARGV[2])
  redis.call('PEXPIRE', KEYS[1], 3600000)
end
redis.call('SET', KEYS[2], ARGV[3], 'NX')
local answer = { redis.call('GET', KEYS[2]) }
local all = redis.call('HGETALL', KEYS[1])
for at = 1, #all, 2 do
  local written = tonumber(string.match(all[at + 1], '^%d+'))
  if written == nil or written + tonumber(ARGV[4]) < now then
    redis.call('HDEL', KEYS[1], all[at])
  else
    table.insert(answer, all[at])
    table.insert(answer, all[at + 1])
  end
end
return answer
