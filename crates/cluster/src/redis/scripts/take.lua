-- KEYS: bucket (when it will be full, in microseconds of Redis' time)
-- ARGV: microseconds until one more token is free, microseconds until an empty bucket is full
-- Answers 0: taken; else in how many microseconds there will be a token. src/rate.rs decides the same.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local full_at = tonumber(redis.call('GET', KEYS[1]) or 0)
local after = math.max(full_at, now) + ARGV[1]
local wait = after - (now + ARGV[2])
if wait > 0 then return string.format('%.0f', wait) end
redis.call('SET', KEYS[1], string.format('%.0f', after), 'PX', string.format('%.0f', math.ceil((after - now) / 1000) + 1))
return '0'
