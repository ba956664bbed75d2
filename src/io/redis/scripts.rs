//! What has to be decided inside the server, because it depends on what other processes do meanwhile.
//!
//! `MULTI` cannot write what depends on what it reads, and a position does: a cut-off must lie above
//! every position that any process took before it was committed. So positions are taken where they
//! are kept, one script at a time, and everything that depends on one is written by the same script.
//!
//! A position never goes back, so a server's clock that runs ahead for a moment would push it ahead for good.
//! That is why every script is told the latest time that its caller takes for possible.

/// The account of a bucket: how long it was left. Beside the epoch, under the bucket's name without the prefix.
/// A bucket of another length has lost something, also when it has been filled again since; what grows again is not
/// told from what was always there by its length alone.
macro_rules! account {
    () => {
        "
local function account(bucket) return bucket:match('}:(.+)$') end
local function is_whole(bucket, ends, seconds)
  local is_over = tonumber(ends) <= tonumber(seconds) + 60
  return is_over or redis.call('STRLEN', bucket) == tonumber(redis.call('HGET', KEYS[1], account(bucket)) or 0)
end
local function settle(bucket) redis.call('HSET', KEYS[1], account(bucket), redis.call('STRLEN', bucket)) end
local function settle_all(first, last)
  local epoch = redis.call('HGETALL', KEYS[1])
  for field = 1, #epoch, 2 do
    if epoch[field]:match('^%a:%d+$') then redis.call('HDEL', KEYS[1], epoch[field]) end
  end
  local prefix = KEYS[1]:match('^(.+}:)')
  for day = first, math.min(last, first + 402) do
    for _, kind in ipairs({'s', 'g', 'c'}) do
      local bucket = string.format('%s%s:%d', prefix, kind, day)
      if redis.call('STRLEN', bucket) > 0 then settle(bucket) end
    end
  end
end
"
    };
}

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

/// A node's sign of life: what it says, behind the time at which it was heard.
///
/// KEYS nodes    ARGV name, what it says
pub(super) const SIGN: &str = "
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
return redis.call('HSET', KEYS[1], ARGV[1], now .. ' ' .. ARGV[2])";

/// Adds records, all or none. Answers what became of it, and the position.
///
/// KEYS epoch, control, feed, buckets..
/// ARGV incarnation, position or 0 to take one, what positions must be above, last day,
///      the latest time possible, number of control fields, how many the hash must have (or -1),
///      of each: name, old value, new value (none: it is only compared), of each bucket: its end, 1 if positions are to be put behind each tag, bytes
pub(super) const PUBLISH: &str = concat!(
    account!(),
    "
local life = redis.call('HMGET', KEYS[1], 'incarnation', 'mark', 'last')
if life[1] ~= ARGV[1] then return {'foreign', 0} end
local mark, position, next = tonumber(life[2]), tonumber(ARGV[2]), 8
if ARGV[7] ~= '-1' and redis.call('HLEN', KEYS[2]) ~= tonumber(ARGV[7]) then return {'late', 0} end
for _ = 1, tonumber(ARGV[6]) do
  if (redis.call('HGET', KEYS[2], ARGV[next]) or '') ~= ARGV[next + 1] then return {'late', 0} end
  next = next + 3
end
local time = redis.call('TIME')
for bucket = 4, #KEYS do
  if not is_whole(KEYS[bucket], ARGV[next + 3 * (bucket - 4)], time[1]) then return {'lost', 0} end
end
if position == 0 then
  local now = math.min(time[1] * 1000 + math.floor(time[2] / 1000), tonumber(ARGV[5]))
  position = math.max(mark, now, tonumber(ARGV[3])) + 1
elseif position <= mark then
  return {'late', 0}
end
local last = math.max(tonumber(life[3]), tonumber(ARGV[4]))
redis.call('HSET', KEYS[1], 'mark', string.format('%.0f', position), 'last', last)
for field = 8, next - 1, 3 do
  if ARGV[field + 2] ~= '' then redis.call('HSET', KEYS[2], ARGV[field], ARGV[field + 2]) end
end
for bucket = 4, #KEYS do
  local bytes = ARGV[next + 2]
  if ARGV[next + 1] == '1' then
    bytes = bytes:gsub('........', '%0' .. struct.pack('>I8', position):gsub('%%', '%%%%'))
  end
  redis.call('APPEND', KEYS[bucket], bytes)
  redis.call('EXPIREAT', KEYS[bucket], ARGV[next])
  settle(KEYS[bucket])
  next = next + 3
end
redis.call('XADD', KEYS[3], 'MAXLEN', '~', 1000, '*', 'p', string.format('%.0f', position))
return {'done', position}"
);

/// Raises a session's floor, unless it is as high already. Answers what became of it, and the position or
/// the floor. The bucket is searched as the text that it is: a floor is raised seldom, a million of them are
/// 12 MB, and an index beside it would be one more thing that can be lost.
///
/// Who did it is noted for a minute, so that a call whose answer was lost knows itself again.
///
/// KEYS epoch, feed, bucket, note
/// ARGV incarnation, session, floor as bytes, end of the bucket, last day, the latest time possible, who
pub(super) const RAISE: &str = concat!(
    account!(),
    "
local life = redis.call('HMGET', KEYS[1], 'incarnation', 'mark', 'last')
if life[1] ~= ARGV[1] then return {'foreign', 0} end
local time = redis.call('TIME')
if not is_whole(KEYS[3], ARGV[4], time[1]) then return {'lost', 0} end
local wanted, known = struct.unpack('>I4', ARGV[3]), 0
local bytes = redis.call('GETRANGE', KEYS[3], 0, -1)
local at = bytes:find(ARGV[2], 1, true)
while at do
  if (at - 1) % 12 == 0 then known = math.max(known, (struct.unpack('>I4', bytes, at + 8))) end
  at = bytes:find(ARGV[2], at + 1, true)
end
if known == wanted and redis.call('GET', KEYS[4]) == ARGV[7] then return {'done', tonumber(life[2])} end
if known >= wanted then return {'behind', known} end
local now = math.min(time[1] * 1000 + math.floor(time[2] / 1000), tonumber(ARGV[6]))
local position = math.max(tonumber(life[2]), now) + 1
local last = math.max(tonumber(life[3]), tonumber(ARGV[5]))
redis.call('HSET', KEYS[1], 'mark', string.format('%.0f', position), 'last', last)
redis.call('APPEND', KEYS[3], ARGV[2] .. ARGV[3])
redis.call('SET', KEYS[4], ARGV[7], 'PX', 60000)
redis.call('EXPIREAT', KEYS[3], ARGV[4])
settle(KEYS[3])
redis.call('XADD', KEYS[2], 'MAXLEN', '~', 1000, '*', 'p', string.format('%.0f', position))
return {'done', position}"
);

/// Begins a new life of a list that lost something, if nobody was quicker.
///
/// KEYS epoch, nodes, control
/// ARGV the old incarnation or nothing, the new one, replication id, least mark, last day, leap,
///      the latest time possible, number of control fields, of each: name, value; of each member: name, what is known of it
pub(super) const BEGIN: &str = concat!(
    account!(),
    "
local life = redis.call('HMGET', KEYS[1], 'incarnation', 'mark', 'last')
if (life[1] or '') ~= ARGV[1] then return 0 end
local time = redis.call('TIME')
local now = math.min(time[1] * 1000 + math.floor(time[2] / 1000), tonumber(ARGV[7]))
local mark = math.max(now, tonumber(life[2] or 0), tonumber(ARGV[4])) + tonumber(ARGV[6])
local last = math.max(tonumber(life[3] or 0), tonumber(ARGV[5]))
redis.call('HSET', KEYS[1], 'incarnation', ARGV[2], 'replication', ARGV[3], 'state', 'healing',
  'mark', string.format('%.0f', mark), 'last', last, 'begun', string.format('%.0f', now))
settle_all(math.floor((time[1] - 3600) / 86400), last)
local members = 9 + 2 * tonumber(ARGV[8])
for field = 9, members - 1, 2 do
  redis.call('HSETNX', KEYS[3], ARGV[field], ARGV[field + 1])
end
for member = members, #ARGV, 2 do
  redis.call('HSETNX', KEYS[2], ARGV[member], ARGV[member + 1])
end
return 1"
);

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
pub(super) const INIT: &str = concat!(
    account!(),
    "
if (redis.call('HGET', KEYS[1], 'incarnation') or '') ~= ARGV[1] then return 0 end
if tonumber(redis.call('HGET', KEYS[1], 'mark') or 0) >= tonumber(ARGV[4]) then return 0 end
local last = redis.call('HGET', KEYS[1], 'last') or 0
redis.call('HSET', KEYS[1], 'incarnation', ARGV[2], 'replication', ARGV[3], 'state', 'healed',
  'mark', ARGV[4], 'last', last)
settle_all(math.floor((redis.call('TIME')[1] - 3600) / 86400), tonumber(last))
for field = 5, #ARGV, 2 do
  redis.call('HSET', KEYS[2], ARGV[field], ARGV[field + 1])
end
return 1"
);
