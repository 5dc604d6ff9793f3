-- Rewound partitions: what was acknowledged and is lost, and how that ends.

-- Whether a position of an older history lies on what a rewound log has kept.
local function was_kept(log, p, mark)
  local history, seq = unpack('>I4', mark), from_u48(mark, 5)
  local kept_history, kept_seq = unpack('>I4', p.kept), from_u48(p.kept, 5)
  if history ~= kept_history then return history < kept_history end
  if seq > kept_seq or seq == 0 then return seq == 0 end
  if seq == kept_seq then return sub(mark, 11, 14) == sub(p.kept, 11, 14) end
  local name = string.format('%d-%d', history, seq)
  local e = redis.call('XRANGE', log, name, name)[1]
  return not e or sub(e[2][2], 1, 4) == sub(mark, 11, 14)
end

-- Whether what is lost reaches further than was known; or as far, on another branch: then
-- nobody is known to have read both.
local function goes_beyond(mark, lost)
  local a, b = unpack('>I4', mark), unpack('>I4', lost)
  local c, d = from_u48(mark, 5), from_u48(lost, 5)
  if a == b and c == d then
    return sub(mark, 11, 14) ~= sub(lost, 11, 14) and sub(lost, 11, 14) ~= NO_MARK
  end
  return a > b or (a == b and c > d)
end

local function write_lost(meta, p)
  redis.call('HSET', meta, 'rewound', 1, 'lost', p.lost, 'lost_ms', p.lost_ms, 'lost_lists',
             p.lost_lists, 'kept', p.kept, 'lost_in', p.history)
end

-- Keep the further mark and the later time; `lists` were covered.
local function lose(p, mark, at_ms, lists)
  local lost = sub(mark, 1, 14)
  if p.lost == '' or goes_beyond(lost, p.lost) then
    local same = sub(lost, 1, 10) == sub(p.lost, 1, 10)
    p.lost = same and sub(lost, 1, 10) .. NO_MARK or lost
  end
  p.lost_ms = max(p.lost_ms, at_ms)
  p.lost_lists = union(p.lost_lists, lists)
end

-- A new history at once: what changes from here on must not pass for what was lost, neither
-- to a follower nor to whoever counts which processes have applied it.
local function rewind(meta, p, next_history)
  p.kept = position(p)
  p.history, p.seq, p.mark, p.rewound = next_history, 0, NO_MARK, '1'
  redis.call('HSET', meta, 'history', p.history, 'seq', 0, 'mark', NO_MARK)
  for i = 1, #p.lost_lists do redis.call('HDEL', meta, 'r:' .. byte(p.lost_lists, i)) end
end

-- What nobody has read: the end of a history that has no end.
local function nobodys(history) return pack('>I4', history) .. u48(NOBODYS_SEQ) .. NO_MARK end

-- Write down that the partition is behind `mark`, or has lost more than was known.
local function note_rewound(meta, log, p, mark)
  if not p.check then return end
  if p.rewound == '1' and p.lost == '' then  -- found by a version that told nothing of it
    lose(p, nobodys(p.history), (now_ms()), p.covered)
    write_lost(meta, p)
  end
  if mark == '' or not is_ours(p, mark) then return end
  local history = unpack('>I4', mark)
  local is_behind = behind(log, p, mark)
  if not is_behind and (p.rewound == '0' or history >= p.history or was_kept(log, p, mark)
                        or not goes_beyond(mark, p.lost)) then return end
  local at_ms, now_s = now_ms()
  local applied_ms = #mark > 14 and from_u48(mark, 15) or 0
  lose(p, mark, applied_ms > 0 and applied_ms or at_ms, union(p.covered, sub(mark, 37)))
  if is_behind then rewind(meta, p, max(p.history + 1, now_s, history + 1)) end
  write_lost(meta, p)
end

-- Whether every list that was covered has been loaded in full, of a time after what was lost.
local function is_made_good(meta, p, loaded)
  local lists = union(p.covered, p.lost_lists)
  for i = 1, #lists do
    local code = byte(lists, i)
    local as_of = loaded[code] or tonumber(redis.call('HGET', meta, 'r:' .. code) or 0)
    if as_of <= p.lost_ms then return false end
  end
  return true
end

-- What is stored is the roster from now on, in a new history.
local function end_rewind(meta, log, p, now_s)
  local lists = union(p.covered, p.lost_lists)
  for i = 1, #lists do redis.call('HDEL', meta, 'r:' .. byte(lists, i)) end
  p.history, p.seq, p.mark, p.rewound = max(p.history + 1, now_s), 0, NO_MARK, '0'
  redis.call('DEL', log)
  redis.call('HSET', meta, 'history', p.history, 'seq', 0, 'mark', NO_MARK, 'rewound', 0)
  redis.call('HDEL', meta, 'lost', 'lost_ms', 'lost_lists', 'kept', 'lost_in')
end

-- Note what this load makes good of what was lost. One that began before that was found does
-- not count: what it merged may be lost, too.
local function make_good(meta, log, p, load, now_s)
  if p.rewound ~= '1' then return end
  local loaded = {}
  for i = 1, #load.lists do
    local code = byte(load.lists, i)
    if tonumber(redis.call('HGET', meta, 'h:' .. code) or 0) ~= p.history then return end
    loaded[code] = load.as_of
  end
  for code in pairs(loaded) do redis.call('HSET', meta, 'r:' .. code, load.as_of) end
  if not is_made_good(meta, p, loaded) then return end
  load.outdated = load.from ~= position(p)  -- the bits lack what came since; the log goes
  end_rewind(meta, log, p, now_s)
  load.from = position(p)
end
