-- Lets an incarnation write, unless a later one of its node may. KEYS: meta, nodes.
-- ARGV: epoch, gap, node, incarnation.
save_clock()
local held = tonumber(redis.call('HGET', KEYS[2], ARGV[3]) or '0')
if held < tonumber(ARGV[4]) then
  redis.call('HSET', KEYS[2], ARGV[3], ARGV[4])
end
return 1
