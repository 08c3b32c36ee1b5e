-- Leave the queue: whatever this consumer still has goes to the end of the stream as a new entry, at once readable
-- by others, and the consumer is removed. One script, so no entry is ever absent or there twice.
-- KEYS: stream, claims of the tries that were running.  ARGV: group, consumer, one entry id per claim.
local stream, group, consumer = KEYS[1], ARGV[1], ARGV[2]
for i = 2, #KEYS do
  if redis.call('GET', KEYS[i]) == ARGV[i + 1] .. '|' .. consumer then
    redis.call('DEL', KEYS[i])
  end
end
local pending = redis.pcall('XPENDING', stream, group, '-', '+', 10000, consumer)
if pending.err then return 0 end
for _, item in ipairs(pending) do
  local found = redis.call('XRANGE', stream, item[1], item[1])
  if #found > 0 then
    redis.call('XADD', stream, '*', unpack(found[1][2]))
  end
  redis.call('XACK', stream, group, item[1])
  redis.call('XDEL', stream, item[1])
end
redis.call('XGROUP', 'DELCONSUMER', stream, group, consumer)
return #pending
