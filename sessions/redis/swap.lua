-- Puts a sealed record in the place of another. KEYS[1] is the session's key, ARGV
-- the revision of the record that must be there, "" for none; the new record, its
-- revision, and its time to live in milliseconds. A request that is sent again after
-- its response was lost succeeds again.
local current = redis.call('GETRANGE', KEYS[1], 1, 8)
if current == ARGV[3] then
  return 1
end
if current ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[4])
return 1
