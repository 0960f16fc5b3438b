-- Every step of the leases. KEYS: held (node -> "<incarnation> <expires> <seen>"), ended
-- (incarnation -> "<expires> <seen> <claimed until> <how> <node>"), meta.
-- ARGV: step, gap, lease, claim (durations in ms), node, incarnation.
local time = redis.call('TIME')
local wall = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local step, lease, claim = ARGV[1], tonumber(ARGV[3]), tonumber(ARGV[4])

local function text(number)
  return string.format('%.0f', number)
end

local meta = redis.call('HMGET', KEYS[3], 'raw', 'moment', 'incarnation')
local raw, moment = tonumber(meta[1] or wall), tonumber(meta[2] or wall)
local latest = tonumber(meta[3] or '0')

local function read(node, value)
  local incarnation, expires, seen = string.match(value, '^(%d+) (%d+) (%d+)$')
  return { node = node, incarnation = incarnation, expires = tonumber(expires), seen = seen }
end

local function hold(held)
  redis.call('HSET', KEYS[1], held.node,
    held.incarnation .. ' ' .. text(held.expires) .. ' ' .. held.seen)
end

local function each(visit)
  local all = redis.call('HGETALL', KEYS[1])
  for index = 1, #all, 2 do
    visit(read(all[index], all[index + 1]))
  end
end

local function finish(held, how)
  redis.call('HDEL', KEYS[1], held.node)
  redis.call('HSET', KEYS[2], held.incarnation, table.concat(
    { text(held.expires), held.seen, text(moment + claim), how, held.node }, ' '))
end

-- Nobody called for long, or the clock jumped: no node could renew, so none is to blame.
local elapsed = wall - raw
if elapsed >= 0 and elapsed <= tonumber(ARGV[2]) then
  moment = moment + elapsed
else
  each(function(held)
    held.expires = math.max(held.expires, moment + lease)
    hold(held)
  end)
end

local answer = {}
local function add(incarnation, expires, seen, how, node, is_new)
  for _, value in ipairs({ incarnation, expires, seen, how, node, is_new }) do
    answer[#answer + 1] = value
  end
end

if step == 'acquire' then
  local earlier = redis.call('HGET', KEYS[1], ARGV[5])
  -- By the clock too, so that it grows over a store that lost everything.
  local by_clock = math.max(wall - 1577836800000, 0) * 4096
  latest = math.max(latest + 1, math.min(by_clock, 9007199254740992 - 1099511627776))
  if earlier then
    local held = read(ARGV[5], earlier)
    finish(held, 'restarted')
    local left = math.max(held.expires - moment, 0)
    add(held.incarnation, text(left), held.seen, 'restarted', ARGV[5], '1')
  end
  hold({ node = ARGV[5], incarnation = text(latest), expires = moment + lease, seen = text(wall) })
  table.insert(answer, 1, text(moment + lease))
  table.insert(answer, 1, text(latest))
elseif step == 'renew' then
  local value = redis.call('HGET', KEYS[1], ARGV[5])
  local held = value and read(ARGV[5], value)
  if held and held.incarnation == ARGV[6] then
    held.expires, held.seen = math.max(held.expires, moment + lease), text(wall)
    hold(held)
    answer = { text(held.expires) }
  end
elseif step == 'release' then
  local value = redis.call('HGET', KEYS[1], ARGV[5])
  local held = value and read(ARGV[5], value)
  if held and held.incarnation == ARGV[6] then
    held.seen = text(wall)
    finish(held, 'released')
    add(held.incarnation, '0', held.seen, 'released', ARGV[5], '1')
  end
elseif step == 'sweep' then
  each(function(held)
    if held.expires < moment then
      finish(held, 'lost')
      add(held.incarnation, text(held.expires), held.seen, 'lost', held.node, '1')
    end
  end)
  -- What another node began to close and did not finish.
  local ended = redis.call('HGETALL', KEYS[2])
  for index = 1, #ended, 2 do
    local expires, seen, claimed, how, node =
      string.match(ended[index + 1], '^(%d+) (%d+) (%d+) (%S+) (.*)$')
    if tonumber(claimed) < moment then
      redis.call('HSET', KEYS[2], ended[index], table.concat(
        { expires, seen, text(moment + claim), how, node }, ' '))
      add(ended[index], expires, seen, how, node, '0')
    end
  end
elseif step == 'closed' then
  redis.call('HDEL', KEYS[2], ARGV[6])
end
redis.call('HSET', KEYS[3], 'raw', text(wall), 'moment', text(moment), 'incarnation', text(latest))
return answer
