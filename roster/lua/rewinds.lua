-- Rewound partitions: what was acknowledged and is lost (`p.loss`), and how that ends.

local NOBODYS_SEQ = 281474976710655  -- no log ever gets there: no filter has read up to it

-- Tell whether a position of an older history lies on what a rewound log has kept.
local function is_on_kept_log(p, position)
  local kept, history, seq = p.loss.kept, unpack('>I4', position), from_u48(position, 5)
  local kept_history, kept_seq = unpack('>I4', kept), from_u48(kept, 5)
  if history ~= kept_history then return history < kept_history end
  if seq > kept_seq or seq == 0 then return seq == 0 end
  local mark = seq == kept_seq and sub(kept, 11, 14) or read_mark(p, history, seq)
  return not mark or mark == sub(position, 11, 14)
end

-- Tell whether a position is further than what is known to be lost; or as far, on another branch:
-- then nobody is known to have read both.
local function is_further(position, lost)
  if sub(position, 1, 10) ~= sub(lost, 1, 10) then return is_after(position, lost) end
  local mark = sub(lost, 11, 14)
  return mark ~= NO_MARK and mark ~= sub(position, 11, 14)
end

-- Extend the loss to a position, to a time when that was applied, and by lists covered then.
local function extend_loss(p, position, at_ms, lists)
  local loss = p.loss or {position = position, at_ms = 0, lists = '', kept = NO_PLACE}
  if is_further(position, loss.position) then
    local is_branch = sub(position, 1, 10) == sub(loss.position, 1, 10)
    loss.position = is_branch and sub(position, 1, 10) .. NO_MARK or position
  end
  loss.at_ms, loss.lists = max(loss.at_ms, at_ms), union(loss.lists, lists)
  p.loss = loss
end

-- Write the loss down: the partition counts as rewound.
local function write_loss(p)
  local loss = p.loss
  p.rewound = true
  redis.call('HSET', p.meta, 'rewound', 1, 'lost', loss.position, 'lost_ms', loss.at_ms,
             'lost_lists', loss.lists, 'kept', loss.kept, 'lost_in', p.history)
end

-- Drop which full files came since a loss.
local function drop_recovered(p, lists)
  for i = 1, #lists do redis.call('HDEL', p.meta, 'r:' .. byte(lists, i)) end
end

-- Leave the log where it stands and begin a new history at once: what changes from here on must
-- not pass for what was lost, neither to a follower nor to whoever counts which processes have
-- applied it.
local function rewind(p, history)
  p.loss.kept = position_of(p)
  begin_history(p, history)
  drop_recovered(p, p.loss.lists)
end

-- Make the position that nobody has read: the end of a history that has no end.
local function nobodys(history) return pack('>I4', history) .. u48(NOBODYS_SEQ) .. NO_MARK end

-- Write down where the partition is behind a high-water mark, or has lost more than was known.
local function detect_rewind(p, high_water)
  if not p.check then return end
  if p.rewound and not p.loss then  -- found by a version that has left nothing of it
    extend_loss(p, nobodys(p.history), (now_ms()), p.covered)
    write_loss(p)
  end
  if high_water == '' or not is_same_roster(p, high_water) then return end
  local behind = is_behind(p, high_water)
  if not behind and not p.rewound then return end
  local position, history = sub(high_water, 1, 14), unpack('>I4', high_water)
  if not behind and (history >= p.history or is_on_kept_log(p, position)
                     or not is_further(position, p.loss.position)) then return end
  local at_ms, now_s = now_ms()
  local applied_ms = #high_water > 14 and from_u48(high_water, 15) or 0
  extend_loss(p, position, applied_ms > 0 and applied_ms or at_ms,
              union(p.covered, sub(high_water, 37)))
  if behind then rewind(p, max(p.history + 1, now_s, history + 1)) end
  write_loss(p)
end

-- List what has to be loaded before a rewind ends.
local function lists_to_load(p) return union(p.covered, p.loss and p.loss.lists or '') end

-- End the rewind: what is stored is the roster from now on, in a new history.
local function end_rewind(p, now_s)
  drop_recovered(p, lists_to_load(p))
  p.rewound = false
  redis.call('DEL', p.log)
  begin_history(p, max(p.history + 1, now_s))
  redis.call('HSET', p.meta, 'rewound', 0)
  redis.call('HDEL', p.meta, 'lost', 'lost_ms', 'lost_lists', 'kept', 'lost_in')
end

-- Tell whether every list has been loaded in full since, of a time after what was lost.
local function is_recovered(p)
  local lists = lists_to_load(p)
  for i = 1, #lists do
    local as_of = tonumber(redis.call('HGET', p.meta, 'r:' .. byte(lists, i)) or 0)
    if as_of <= p.loss.at_ms then return false end
  end
  return true
end

-- Note what a full load of these lists recovers, and end the rewind where that is all; true where
-- it ended. A load that began before the loss was found recovers nothing: what it merged may be
-- lost, too.
local function recover(p, lists, as_of, now_s)
  if not p.rewound then return false end
  for i = 1, #lists do
    local begun_in = tonumber(redis.call('HGET', p.meta, 'h:' .. byte(lists, i)) or 0)
    if begun_in ~= p.history then return false end
  end
  for i = 1, #lists do redis.call('HSET', p.meta, 'r:' .. byte(lists, i), as_of) end
  if not is_recovered(p) then return false end
  end_rewind(p, now_s)
  return true
end

-- accept: end `rewound`: what is stored is the roster from now on, in a new history. Also
-- where it is not rewound somebody has looked, which is noted.
--
--   returns  {1 where it was rewound}
register('accept', ALWAYS, {'log', 'image'}, function(p)
  local at_ms, now_s = now_ms()
  if p.check then redis.call('HSET', p.meta, 'accepted', at_ms) end
  if not p.rewound then return {0} end
  end_rewind(p, now_s)
  redis.call('DEL', p.image)
  redis.call('HDEL', p.meta, 'image', 'ack')
  return {1}
end)

-- restored: an older state came back while nobody looked: it counts as rewound, without a
-- witness, and what was acknowledged until now as lost.
--
--   returns  {1 where there is such a partition}
register('restored', ALWAYS, {}, function(p)
  if not p.check then return {0} end
  local at_ms, now_s = now_ms()
  local history = max(p.history + 1, now_s)
  extend_loss(p, nobodys(history), at_ms, p.covered)
  rewind(p, history)
  write_loss(p)
  return {1}
end)
