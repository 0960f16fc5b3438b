-- Sets how many connections addresses have on a node, and answers for each how many they have on the others.
-- KEYS: one for each address, all of one slot. ARGV: the node, the milliseconds that its counts are valid, then a count
-- for each key.
-- A key is a hash: node -> "<count> <valid until, milliseconds of Redis' clock>".
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local node, valid = ARGV[1], tonumber(ARGV[2])
local elsewhere = {}
for i, key in ipairs(KEYS) do
  local count, sum = tonumber(ARGV[i + 2]), 0
  if count > 0 then
    redis.call('HSET', key, node, string.format('%d %.0f', count, now + valid))
    redis.call('PEXPIRE', key, valid)
  else
    redis.call('HDEL', key, node)
  end
  local counts = redis.call('HGETALL', key)
  for j = 1, #counts, 2 do
    local other, until_ = string.match(counts[j + 1], '^(%d+) (%d+)$')
    if not other or tonumber(until_) < now then
      redis.call('HDEL', key, counts[j])
    elseif counts[j] ~= node then
      sum = sum + tonumber(other)
    end
  end
  elsewhere[i] = sum
end
return elsewhere
