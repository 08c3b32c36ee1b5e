-- Keep what is running: renew claims that are ours or absent, and the idle time of their entries.
-- KEYS: stream, one claim per entry.  ARGV: group, consumer, claim ttl (ms), one entry id per claim.
-- Answers 1 per try that may go on, 0 per try that must stop. An entry that stopped because its try is cancelled,
-- answered, or stood for by another entry goes away; one that another consumer took over stays.
local stream, group, consumer, ttl = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local answers, entries, spent = {}, {}, {}
for i = 2, #KEYS do
  local entry = ARGV[i + 2]
  local mine = entry .. '|' .. consumer
  local current = redis.call('GET', KEYS[i])
  if not current or current == mine then
    redis.call('SET', KEYS[i], mine, 'PX', ttl)
    entries[#entries + 1] = entry
    answers[i - 1] = 1
  else
    if string.sub(current, 1, #entry + 1) ~= entry .. '|' then spent[#spent + 1] = entry end
    answers[i - 1] = 0
  end
end
if #entries > 0 then
  entries[#entries + 1] = 'JUSTID'
  -- The group may be gone with everything else; the claims above are what counts then.
  redis.pcall('XCLAIM', stream, group, consumer, 0, unpack(entries))
end
if #spent > 0 then
  redis.call('XACK', stream, group, unpack(spent))
  redis.call('XDEL', stream, unpack(spent))
end
return answers
