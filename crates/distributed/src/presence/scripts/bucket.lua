-- Begins every script of a bucket. KEYS[1] is `meta`; ARGV[1] is a random epoch for a bucket that is
-- new, ARGV[2] the longest time in ms between two calls that counts as time.
local time = redis.call('TIME')
local wall = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

local function text(number)
  return string.format('%.0f', number)
end

-- As `clock_version` of the domain, with microseconds below the millisecond, so that users of
-- different buckets have different versions.
local function clock_version()
  local since = math.max(wall - 1577836800000, 0)
  local micros = tonumber(time[2]) % 1000
  return math.min(since * 4096 + micros * 4, 9007199254740992 - 1099511627776)
end

local meta = redis.call('HMGET', KEYS[1], 'epoch', 'number', 'version', 'revision', 'raw', 'moment')
local epoch, number, version, revision, raw, moment
local is_new = not meta[1]
if is_new then
  epoch, number, version, revision, raw, moment = ARGV[1], 0, clock_version(), 0, wall, wall
else
  epoch, number, version, revision, raw, moment = meta[1], tonumber(meta[2]), tonumber(meta[3]),
    tonumber(meta[4]), tonumber(meta[5]), tonumber(meta[6])
end

-- The bucket's clock follows Redis' clock, but no jump of it.
local elapsed = wall - raw
local has_jumped = elapsed < 0 or elapsed > tonumber(ARGV[2])
if not has_jumped then
  moment = moment + elapsed
end

local function save_meta()
  redis.call('HSET', KEYS[1], 'epoch', epoch, 'number', text(number), 'version', text(version),
    'revision', text(revision), 'raw', text(wall), 'moment', text(moment))
end

-- Reads write only where they must.
local function save_clock()
  if is_new or has_jumped or elapsed >= 1000 then
    save_meta()
  end
end
