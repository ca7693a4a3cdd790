-- KEYS: owner
-- ARGV: node, its epoch, how long the epoch is remembered in milliseconds
local node, epoch = unpack(redis.call('HMGET', KEYS[1], 'node', 'epoch'))
if node == ARGV[1] and epoch == ARGV[2] then
  redis.call('HDEL', KEYS[1], 'node', 'term')
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
return 1
