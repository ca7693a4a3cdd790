-- KEYS: owner, record (hash: epoch, data)
-- ARGV: epoch, when it expires in Unix milliseconds, what to do (save, remove), data
-- Answers 1: done; or 0 and node, term and epoch of the owner, if there is one.
local node, term, last = unpack(redis.call('HMGET', KEYS[1], 'node', 'term', 'epoch'))
local written = redis.call('HGET', KEYS[2], 'epoch')
local mine = tonumber(ARGV[1])
if tonumber(last or 0) > mine or tonumber(written or 0) > mine then
  if node then return { 0, node, term, last } end
  return { 0 }
end
redis.call('HSET', KEYS[2], 'epoch', ARGV[1])
if ARGV[3] == 'save' then
  redis.call('HSET', KEYS[2], 'data', ARGV[4])
else
  redis.call('HDEL', KEYS[2], 'data')
end
redis.call('PEXPIREAT', KEYS[2], ARGV[2])
-- As long as there is a room, it is known who owns it.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local left = redis.call('PTTL', KEYS[1])
if left >= 0 and left < ARGV[2] - now then redis.call('PEXPIREAT', KEYS[1], ARGV[2]) end
return { 1 }
