-- The results are published: remove the entries, and leave the claims as done for one lease.
-- KEYS: stream, one claim per entry.  ARGV: group, lease (ms), then entry id and generation per entry.
-- Answers how many entries were still pending; fewer than asked for means that they were lost or changed hands.
local stream, group, lease = KEYS[1], ARGV[1], ARGV[2]
local entries = {}
for i = 2, #KEYS do
  local entry, generation = ARGV[2 * i - 1], ARGV[2 * i]
  redis.call('SET', KEYS[i], 'done|' .. generation, 'PX', lease)
  entries[#entries + 1] = entry
end
local pending = redis.call('XACK', stream, group, unpack(entries))
redis.call('XDEL', stream, unpack(entries))
return pending
