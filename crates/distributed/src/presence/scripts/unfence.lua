-- Refuses the writes of an incarnation that ended. KEYS: nodes. ARGV: node, incarnation.
if redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] then
  redis.call('HDEL', KEYS[1], ARGV[1])
end
return 1
