-- KEYS: leases
-- ARGV: node
-- Answers whether its lease lasts.
local time = redis.call('TIME')
local over = redis.call('ZSCORE', KEYS[1], ARGV[1])
if over and tonumber(over) > time[1] * 1000 + math.floor(time[2] / 1000) then return 1 end
return 0
