-- One user's record, and now. KEYS: meta, users, nodes. ARGV: epoch, gap, user, node, incarnation.
if redis.call('HGET', KEYS[3], ARGV[4]) ~= ARGV[5] then
  return { 'fenced' }
end
save_clock()
local record = redis.call('HGET', KEYS[2], ARGV[3]) or ''
return { 'record', record, text(moment), text(wall), epoch }
