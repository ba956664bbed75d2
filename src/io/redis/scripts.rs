//! What has to be decided inside the server, because it depends on what other processes do meanwhile.
//!
//! `MULTI` cannot write what depends on what it reads, and a position does: a cut-off must lie above
//! every position that any process took before it was committed. So positions are taken where they
//! are kept, one script at a time, and everything that depends on one is written by the same script.
//!
//! A position never goes back, so a server's clock that runs ahead for a moment would push it ahead for good.
//! That is why every script is told the latest time that its caller takes for possible.

/// Takes a new position, for a login. 0 where there is no list.
///
/// KEYS epoch    ARGV the latest time possible
pub(super) const STAMP: &str = "
local mark = redis.call('HGET', KEYS[1], 'mark')
if not mark then return 0 end
local time = redis.call('TIME')
local now = math.min(time[1] * 1000 + math.floor(time[2] / 1000), tonumber(ARGV[1]))
mark = math.max(tonumber(mark), now) + 1
redis.call('HSET', KEYS[1], 'mark', string.format('%.0f', mark))
return mark";

/// Adds records, all or none. Answers what became of it, and the position.
///
/// KEYS epoch, control, feed, buckets..
/// ARGV incarnation, position or 0 to take one, what positions must be above, last day,
///      the latest time possible, number of control fields, of each: name, old value, new value,
///      of each bucket: its end, 1 if positions are to be put behind each tag, bytes
pub(super) const PUBLISH: &str = "
local life = redis.call('HMGET', KEYS[1], 'incarnation', 'mark', 'last')
if life[1] ~= ARGV[1] then return {'foreign', 0} end
local mark, position, next = tonumber(life[2]), tonumber(ARGV[2]), 7
for _ = 1, tonumber(ARGV[6]) do
  if (redis.call('HGET', KEYS[2], ARGV[next]) or '') ~= ARGV[next + 1] then return {'late', 0} end
  next = next + 3
end
if position == 0 then
  local time = redis.call('TIME')
  local now = math.min(time[1] * 1000 + math.floor(time[2] / 1000), tonumber(ARGV[5]))
  position = math.max(mark, now, tonumber(ARGV[3])) + 1
elseif position <= mark then
  return {'late', 0}
end
local last = math.max(tonumber(life[3]), tonumber(ARGV[4]))
redis.call('HSET', KEYS[1], 'mark', string.format('%.0f', position), 'last', last)
for field = 7, next - 1, 3 do
  redis.call('HSET', KEYS[2], ARGV[field], ARGV[field + 2])
end
for bucket = 4, #KEYS do
  local bytes = ARGV[next + 2]
  if ARGV[next + 1] == '1' then
    bytes = bytes:gsub('........', '%0' .. struct.pack('>I8', position):gsub('%%', '%%%%'))
  end
  redis.call('APPEND', KEYS[bucket], bytes)
  redis.call('EXPIREAT', KEYS[bucket], ARGV[next])
  next = next + 3
end
redis.call('XADD', KEYS[3], 'MAXLEN', '~', 1000, '*', 'p', string.format('%.0f', position))
return {'done', position}";

/// Raises a session's floor, unless it is as high already. Answers what became of it, and the position or
/// the floor. The bucket is searched as the text that it is: a floor is raised seldom, a million of them are
/// 12 MB, and an index beside it would be one more thing that can be lost.
///
/// Who did it is noted for a minute, so that a call whose answer was lost knows itself again.
///
/// KEYS epoch, feed, bucket, note
/// ARGV incarnation, session, floor as bytes, end of the bucket, last day, the latest time possible, who
pub(super) const RAISE: &str = "
local life = redis.call('HMGET', KEYS[1], 'incarnation', 'mark', 'last')
if life[1] ~= ARGV[1] then return {'foreign', 0} end
local wanted, known = struct.unpack('>I4', ARGV[3]), 0
local bytes = redis.call('GETRANGE', KEYS[3], 0, -1)
local at = bytes:find(ARGV[2], 1, true)
while at do
  if (at - 1) % 12 == 0 then known = math.max(known, (struct.unpack('>I4', bytes, at + 8))) end
  at = bytes:find(ARGV[2], at + 1, true)
end
if known == wanted and redis.call('GET', KEYS[4]) == ARGV[7] then return {'done', tonumber(life[2])} end
if known >= wanted then return {'behind', known} end
local time = redis.call('TIME')
local now = math.min(time[1] * 1000 + math.floor(time[2] / 1000), tonumber(ARGV[6]))
local position = math.max(tonumber(life[2]), now) + 1
local last = math.max(tonumber(life[3]), tonumber(ARGV[5]))
redis.call('HSET', KEYS[1], 'mark', string.format('%.0f', position), 'last', last)
redis.call('APPEND', KEYS[3], ARGV[2] .. ARGV[3])
redis.call('SET', KEYS[4], ARGV[7], 'PX', 60000)
redis.call('EXPIREAT', KEYS[3], ARGV[4])
redis.call('XADD', KEYS[2], 'MAXLEN', '~', 1000, '*', 'p', string.format('%.0f', position))
return {'done', position}";

/// Begins a new life of a list that lost something, if nobody was quicker.
///
/// KEYS epoch, nodes, control
/// ARGV the old incarnation or nothing, the new one, replication id, least mark, last day, leap,
///      the latest time possible, number of control fields, of each: name, value; of each member: name, what is known of it
pub(super) const BEGIN: &str = "
local life = redis.call('HMGET', KEYS[1], 'incarnation', 'mark', 'last')
if (life[1] or '') ~= ARGV[1] then return 0 end
local time = redis.call('TIME')
local now = math.min(time[1] * 1000 + math.floor(time[2] / 1000), tonumber(ARGV[7]))
local mark = math.max(now, tonumber(life[2] or 0), tonumber(ARGV[4])) + tonumber(ARGV[6])
local last = math.max(tonumber(life[3] or 0), tonumber(ARGV[5]))
redis.call('HSET', KEYS[1], 'incarnation', ARGV[2], 'replication', ARGV[3], 'state', 'healing',
  'mark', string.format('%.0f', mark), 'last', last)
local members = 9 + 2 * tonumber(ARGV[8])
for field = 9, members - 1, 2 do
  redis.call('HSETNX', KEYS[3], ARGV[field], ARGV[field + 1])
end
for member = members, #ARGV, 2 do
  redis.call('HSETNX', KEYS[2], ARGV[member], ARGV[member + 1])
end
return 1";

/// Ends the healing of one life.
///
/// KEYS epoch, feed    ARGV incarnation
pub(super) const HEALED: &str = "
local life = redis.call('HMGET', KEYS[1], 'incarnation', 'state')
if life[1] ~= ARGV[1] or life[2] ~= 'healing' then return 0 end
redis.call('HSET', KEYS[1], 'state', 'healed')
redis.call('XADD', KEYS[2], 'MAXLEN', '~', 1000, '*', 'p', '0')
return 1";

/// Makes a list, or says goodbye to one whose records nobody knows. All is decided by the caller, on
/// what it read; here it is only compared.
///
/// KEYS epoch, control
/// ARGV the old incarnation or nothing, the new one, replication id, mark, then name and value of
///      control fields
pub(super) const INIT: &str = "
if (redis.call('HGET', KEYS[1], 'incarnation') or '') ~= ARGV[1] then return 0 end
if tonumber(redis.call('HGET', KEYS[1], 'mark') or 0) >= tonumber(ARGV[4]) then return 0 end
local last = redis.call('HGET', KEYS[1], 'last') or 0
redis.call('HSET', KEYS[1], 'incarnation', ARGV[2], 'replication', ARGV[3], 'state', 'healed',
  'mark', ARGV[4], 'last', last)
for field = 5, #ARGV, 2 do
  redis.call('HSET', KEYS[2], ARGV[field], ARGV[field + 1])
end
return 1";
