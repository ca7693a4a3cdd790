-- KEYS: owner
-- ARGV: node, its epoch, the new owner, the new owner's term, how long the key is kept in milliseconds
-- Answers 1 and the new epoch; or 0 and node, term and epoch of the owner, if there is one.
local node, term, epoch = unpack(redis.call('HMGET', KEYS[1], 'node', 'term', 'epoch'))
if node ~= ARGV[1] or epoch ~= ARGV[2] then
  if node then return { 0, node, term, epoch } end
  return { 0 }
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local text = string.format('%.0f', math.max(tonumber(epoch) + 1, now))
redis.call('HSET', KEYS[1], 'node', ARGV[3], 'term', ARGV[4], 'epoch', text)
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return { 1, text }
