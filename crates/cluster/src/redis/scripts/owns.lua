-- KEYS: owner
-- ARGV: node, its epoch
-- Answers 1: it owns the room; or 0 and node, term and epoch of the owner, if there is one.
local node, term, epoch = unpack(redis.call('HMGET', KEYS[1], 'node', 'term', 'epoch'))
if node == ARGV[1] and epoch == ARGV[2] then return { 1 } end
if node then return { 0, node, term, epoch } end
return { 0 }
