-- A page of a bucket's records. KEYS: meta, users. ARGV: epoch, gap, cursor, count.
save_clock()
local page = redis.call('HSCAN', KEYS[2], ARGV[3], 'COUNT', ARGV[4])
return { epoch, text(number), text(version), page[1], page[2] }
