-- What a node looks at regularly. KEYS: meta, timers, nodes, the set of the incarnation.
-- ARGV: epoch, gap, node, incarnation, the most timers.
save_clock()
local is_fenced = redis.call('HGET', KEYS[3], ARGV[3]) ~= ARGV[4]
local due = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', '(' .. text(moment), 'LIMIT', 0, ARGV[5])
return { epoch, text(number), is_fenced and 1 or 0, redis.call('SCARD', KEYS[4]), due }
