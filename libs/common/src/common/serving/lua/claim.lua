-- Decide about every entry of one read, take the claims of those that run, and remove those that do not.
-- KEYS: stream, one claim per entry.  ARGV: group, consumer, claim ttl (ms), then entry id, generation and whether it
-- is stale (1) per entry.
-- Answers one verdict per entry; the numbers are those of claims.Verdict.
local stream, group, consumer, ttl = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local verdicts, gone = {}, {}
for i = 2, #KEYS do
  local entry, generation, stale = ARGV[3 * i - 2], ARGV[3 * i - 1], ARGV[3 * i]
  local current = redis.call('GET', KEYS[i])
  local verdict = stale == '1' and 3 or 0
  if current == 'cancelled' then
    verdict = 4
  elseif current and string.sub(current, 1, 5) == 'done|' then
    if current == 'done|' .. generation then verdict = 3 end
  elseif current then
    local bar = string.find(current, '|', 1, true) or 1
    if string.sub(current, 1, bar - 1) ~= entry then
      verdict = 3
    elseif string.sub(current, bar + 1) == consumer then
      verdict = 1
    else
      verdict = 2
    end
  end
  if verdict <= 2 then
    redis.call('SET', KEYS[i], entry .. '|' .. consumer, 'PX', ttl)
  else
    gone[#gone + 1] = entry
  end
  verdicts[i - 1] = verdict
end
if #gone > 0 then
  redis.call('XACK', stream, group, unpack(gone))
  redis.call('XDEL', stream, unpack(gone))
end
return verdicts
