-- GCRA: one number per key, the theoretical arrival time of the next request that would be exactly on pace.
-- KEYS[1] the caller; ARGV[1] microseconds between requests on pace; ARGV[2] microseconds of burst.
-- Returns {allowed, remaining, microseconds until the limit is whole again, microseconds to wait}.
local now = redis.call('TIME')
now = now[1] * 1000000 + now[2]
local interval, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local arrival = math.max(tonumber(redis.call('GET', KEYS[1]) or now), now)
local next_arrival = arrival + interval
local excess = next_arrival - now - burst
if excess > 0 then
  return {0, 0, arrival - now, excess}
end
redis.call('SET', KEYS[1], string.format('%d', next_arrival), 'PX', math.ceil((next_arrival - now) / 1000))
return {1, math.floor(-excess / interval), next_arrival - now, 0}
