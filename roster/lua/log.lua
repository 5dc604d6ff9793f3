-- The log, positions in it, and each person's own history.

local function id(p, seq) return string.format('%d-%d', p.history, seq) end

-- Marks follow from the caller's random one; they need to differ, not to be secret.
local function next_mark(p, seed)
  local a = unpack('>I4', seed)
  return pack('>I4', bxor(a, (p.seq * 2654435761) % 4294967296) % 4294967296)
end

-- The next entry of the log: its id and its bytes.
local function numbered(p, seed, entry)
  p.seq = p.seq + 1
  p.mark = next_mark(p, seed)
  return id(p, p.seq), p.mark .. entry
end

local function append(log, p, seed, entry)
  local number, bytes = numbered(p, seed, entry)
  redis.call('XADD', log, number, 'e', bytes)
end

local function log_entry(op, e, was, bucket_field, at_ms, rev, content, prov)
  return char(op, e.list, was, state(e)) .. bucket_field .. u48(rev) .. u48(at_ms)
    .. pack('>I2', #content) .. content .. prov
end

-- What the log has of a change that changed what is stored, but nothing that anybody sees (yet):
-- it goes by the list that nobody is told of. Without it a loss of that change is not noticed.
local function note(bucket_field, rev, at_ms)
  return char(REMOVE, CANARY, REMOVED, REMOVED) .. bucket_field .. u48(rev) .. u48(at_ms) .. '\0\0'
end

-- A person's own history with one more event, without what is older than `keep_ms`.
local function with_event(old, event, at_ms, keep_ms)
  local from = 1
  while from <= #old do
    local size = from < #old and unpack('>I2', old, from) or 0
    if size < EVENT or from + 1 + size > #old then  -- damaged: nobody can read on from here
      from = #old + 1
      break
    end
    if from_u48(old, from + 2 + 24) >= at_ms - keep_ms and #old - from < 60000 then break end
    from = from + 2 + size
  end
  return sub(old, from) .. pack('>I2', #event) .. event
end

local function past(history, field) return redis.call('HGET', history, field) or '' end

local function remember(key, field, event, at_ms, keep_ms)
  redis.call('HSET', key, field, with_event(past(key, field), event, at_ms, keep_ms))
end

local function mark_at(log, p, seq)
  if seq == 0 then return NO_MARK end
  if seq == p.seq then return p.mark end
  local e = redis.call('XRANGE', log, id(p, seq), id(p, seq))[1]
  return e and sub(e[2][2], 1, 4)
end

-- Where a position (history u32, seq u48, mark 4) stands: 'past', 'here' (and reached),
-- 'ahead' (not reached), 'other' (the mark differs), 'trimmed'.
local function reached(log, p, position)
  local history, seq, mark = unpack('>I4', position), from_u48(position, 5), sub(position, 11, 14)
  if history < p.history then return 'past' end
  if history > p.history or seq > p.seq then return 'ahead' end
  local known = mark_at(log, p, seq)
  if not known then return 'trimmed' end
  return known == mark and 'here' or 'other'
end

local function behind(log, p, position)
  if position == '' then return false end
  local where = reached(log, p, position)
  return where == 'ahead' or where == 'other'
end

local function position(p)
  local high = floor(p.seq / 4294967296)
  return pack('>I4I2I4', p.history, high, p.seq - high * 4294967296) .. p.mark
end

-- Whether a high-water mark is of this roster. It is a position 14 and, where they are known,
-- when that was applied u48, the roster's id 16, codes of the lists that were covered.
local function is_ours(p, mark)
  local of = sub(mark, 21, 36)
  return of == '' or of == NO_ROSTER or p.roster == '' or of == p.roster
end

local function is_foreign(p)
  local named = sub(p.stamp, 9)
  return named ~= '' and p.roster ~= '' and named ~= p.roster
end

-- Whether this acknowledged position is news.
local function is_news(p, ack)
  if ack == '' or not is_ours(p, ack) then return false end
  if p.ack == '' then return true end
  local history, known = unpack('>I4', ack), unpack('>I4', p.ack)
  return history > known or (history == known and from_u48(ack, 5) > from_u48(p.ack, 5))
end
