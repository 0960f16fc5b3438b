-- Adds uses to rate limits, and answers for each how many milliseconds its key has to wait.
-- KEYS: one for each limit and key, all of one slot. ARGV: a slack in microseconds, then for each key the uses, the
-- microseconds that one use takes, and the microseconds of a whole burst.
-- A key holds the moment (microseconds of Redis' clock) at which everything used so far is paid off.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local waits = {}
for i, key in ipairs(KEYS) do
  local uses, each, burst = tonumber(ARGV[i * 3 - 1]), tonumber(ARGV[i * 3]), tonumber(ARGV[i * 3 + 1])
  local paid = tonumber(redis.call('GET', key) or '0')
  -- Two bursts at most, so that nobody waits longer than for one, also after the clock went back.
  paid = math.min(math.max(paid, now) + uses * each, now + 2 * burst)
  redis.call('SET', key, string.format('%.0f', paid), 'PX', math.ceil((paid - now) / 1000) + 1)
  waits[i] = math.max(0, math.ceil((paid + each - burst - tonumber(ARGV[1]) - now) / 1000))
end
return waits
