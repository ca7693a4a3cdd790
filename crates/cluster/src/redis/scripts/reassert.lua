-- KEYS: owner
-- ARGV: node, its term, its epoch, how long the key is kept in milliseconds
-- Answers 1: kept; 2: written anew; or 0 and node, term and epoch of the owner, if there is one.
-- The new term makes it fail that somebody who saw the old lease dead takes the room now.
local node, term, epoch = unpack(redis.call('HMGET', KEYS[1], 'node', 'term', 'epoch'))
if epoch and (node ~= ARGV[1] or epoch ~= ARGV[3]) then
  if node then return { 0, node, term, epoch } end
  return { 0 }
end
redis.call('HSET', KEYS[1], 'node', ARGV[1], 'term', ARGV[2], 'epoch', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return { epoch and 1 or 2 }
