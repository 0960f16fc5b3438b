-- Publishes a batch, unless another node listens to a channel that the publisher left out, or one
--   listens that does not read the form.
-- ARGV: two texts with a character for each channel that was left out, and for each other one: '1' if
--   the publisher's own node is subscribed to it, otherwise '0'; the form, '1' or '2'; the mark of that
--   subscription; the channel of all nodes; that of the nodes that read form 2; the channels that were
--   left out; the other ones; then messages: the payload, and the places of its channels among the
--   other ones, from 1 on, with a space after each.
-- Returns 'unknown' if the mark has not one subscriber: then who else listens is not known. 'heard '
--   and a character for each channel that was left out if another node listens to one of them: '1'
--   for those. 'older' if not all nodes read the form. In these cases nothing was published. Otherwise
--   'sent ', '2 ' if all nodes read form 2 and else '1 ', and a character for each other channel: '1'
--   if nobody else received the last message on it.
local without, with = ARGV[1], ARGV[2]
local counts = redis.call('PUBSUB', 'NUMSUB', unpack(ARGV, 4, 6 + #without))
if counts[2] ~= 1 then
  return 'unknown'
end
local form = counts[4] == counts[6] and '2' or '1'
if ARGV[3] > form then
  return 'older'
end
local is_heard = false
local heard = {}
for n = 1, #without do
  if counts[2 * n + 6] > without:byte(n) - 48 then
    is_heard = true
    heard[n] = '1'
  else
    heard[n] = '0'
  end
end
if is_heard then
  return 'heard ' .. table.concat(heard)
end
local before = 6 + #without
local receivers = {}
for at = before + #with + 1, #ARGV, 2 do
  for place in ARGV[at + 1]:gmatch('%d+') do
    place = tonumber(place)
    receivers[place] = redis.call('PUBLISH', ARGV[before + place], ARGV[at])
  end
end
local alone = {}
for n = 1, #with do
  alone[n] = (receivers[n] or 1) > with:byte(n) - 48 and '0' or '1'
end
return 'sent ' .. form .. ' ' .. table.concat(alone)
