-- KEYS: owner (hash: node, term, epoch)
-- ARGV: node, its term, the highest epoch it knows, whether to take a room only if it was its own before (1 or 0), how long the
--       key is kept in milliseconds, and the node, term and epoch that were seen and found dead (or three empty strings)
-- Answers 1 and the new epoch; or 0 and node, term and epoch of the owner; or 2: nobody owns it, and it is not to be taken.
local node, term, epoch = unpack(redis.call('HMGET', KEYS[1], 'node', 'term', 'epoch'))
local mine = node == ARGV[1]
local seen = node == ARGV[6] and term == ARGV[7] and epoch == ARGV[8]
if node and not mine and not seen then return { 0, node, term, epoch } end
if ARGV[4] == '1' and not mine then return { 2 } end
-- Redis' time in milliseconds: an emptied Redis does not begin below what was there before.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local next = math.max(tonumber(epoch or 0) + 1, tonumber(ARGV[3]) + 1, now)
local text = string.format('%.0f', next)
redis.call('HSET', KEYS[1], 'node', ARGV[1], 'term', ARGV[2], 'epoch', text)
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return { 1, text }
