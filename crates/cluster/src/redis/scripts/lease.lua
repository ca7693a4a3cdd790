-- KEYS: leases (sorted set: node, when its lease is over), facts (hash: node, what it says of itself)
-- ARGV: node, what to do (register, renew, leave), milliseconds, facts
-- Answers whether the node has a lease, then each live node with its facts and the milliseconds left.
-- Only Redis' own clock counts: those of the nodes may differ.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for _, node in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now)) do
  redis.call('ZREM', KEYS[1], node)
  redis.call('HDEL', KEYS[2], node)
end
local has = false
if ARGV[2] == 'leave' then
  redis.call('ZREM', KEYS[1], ARGV[1])
  redis.call('HDEL', KEYS[2], ARGV[1])
elseif ARGV[2] == 'register' or redis.call('ZSCORE', KEYS[1], ARGV[1]) then
  has = true
  redis.call('ZADD', KEYS[1], string.format('%.0f', now + ARGV[3]), ARGV[1])
  redis.call('HSET', KEYS[2], ARGV[1], ARGV[4])
end
local answer = { has and 1 or 0 }
local leases = redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
for i = 1, #leases, 2 do
  answer[#answer + 1] = leases[i]
  answer[#answer + 1] = redis.call('HGET', KEYS[2], leases[i]) or '{}'
  answer[#answer + 1] = string.format('%.0f', leases[i + 1] - now)
end
return answer
