-- The log and positions in it. An event is how it tells one change: op u8, list u8, state before u8
-- and after u8, place, revision u48, time u48, content's size u16, content, provenance. An entry of
-- the log is its mark and an event.

local NO_ROSTER = '\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0'
local OP_TO = {[ACTIVE] = OP_PUT, [SUSPENDED] = OP_SUSPEND, [ABSENT] = OP_ABSENT}

-- Pack the event of an edit.
local function pack_event(op, e, was, place, at_ms, revision, content, prov)
  return char(op, e.list, was, state_of(e)) .. place .. u48(revision) .. u48(at_ms)
    .. pack('>I2', #content) .. content .. prov
end

-- Tell what leads to a state.
local function op_to(state) return OP_TO[state] or OP_REMOVE end

-- Pack an event that tells an entry as it is now, with `content` and `prov` or its own.
local function pack_state(e, was, place, at_ms, content, prov)
  return pack_event(op_to(state_of(e)), e, was, place, at_ms, revision_of(e), content or e.content,
                    prov or e.prov)
end

-- Pack an event that is of no entry.
local function pack_bare(op, list_code, state, place, revision, at_ms)
  return char(op, list_code, state, state) .. place .. u48(revision) .. u48(at_ms) .. '\0\0'
end

-- Pack the event of a change that changed what is stored, but nothing that anybody sees (yet): it
-- goes by the list that nobody is told of. Without it a loss of that change is not noticed.
local function pack_silent(place, revision, at_ms)
  return pack_bare(OP_REMOVE, CANARY, REMOVED, place, revision, at_ms)
end

-- Spell the id that a seq has in the stream.
local function log_id(history, seq) return string.format('%d-%d', history, seq) end

-- Make the next entry of the log; returns its id and its bytes. Marks follow from the caller's
-- random `p.seed`; they need to differ, not to be secret.
local function next_entry(p, event)
  p.seq = p.seq + 1
  p.mark = pack('>I4', bxor(unpack('>I4', p.seed), (p.seq * 2654435761) % 4294967296) % 4294967296)
  return log_id(p.history, p.seq), p.mark .. event
end

-- Append an event to the log.
local function append_log(p, event)
  local id, entry = next_entry(p, event)
  redis.call('XADD', p.log, id, 'e', entry)
end

-- Read the mark of an entry of the log; nil where it is not there.
local function read_mark(p, history, seq)
  local id = log_id(history, seq)
  local entry = redis.call('XRANGE', p.log, id, id)[1]
  return entry and sub(entry[2][2], 1, 4)
end

-- Pack the position of the log's end.
local function position_of(p)
  local high = trunc(p.seq / 4294967296)
  return pack('>I4I2I4', p.history, high, p.seq - high * 4294967296) .. p.mark
end

-- Locate a position: 'passed' with an older history, 'on_log', 'ahead' of the log's end, 'trimmed',
-- or on another 'branch': its mark differs.
local function locate(p, position)
  local history, seq, mark = unpack('>I4', position), from_u48(position, 5), sub(position, 11, 14)
  if history < p.history then return 'passed' end
  if history > p.history or seq > p.seq then return 'ahead' end
  local known = seq == 0 and NO_MARK or seq == p.seq and p.mark or read_mark(p, p.history, seq)
  if not known then return 'trimmed' end
  return known == mark and 'on_log' or 'branch'
end

-- Tell whether the partition lacks what led to a position ('': never).
local function is_behind(p, position)
  if position == '' then return false end
  local where = locate(p, position)
  return where == 'ahead' or where == 'branch'
end

-- Tell whether one position's history and seq come after the other's.
local function is_after(a, b)
  local history, other = unpack('>I4', a), unpack('>I4', b)
  return history > other or (history == other and from_u48(a, 5) > from_u48(b, 5))
end

-- Tell whether a high-water mark is of this roster. It is a position and, where they are known,
-- when that was applied u48, the roster's id 16, the lists that were covered.
local function is_same_roster(p, high_water)
  local id = sub(high_water, 21, 36)
  return id == '' or id == NO_ROSTER or p.roster == '' or id == p.roster
end

-- Tell whether a position that is known to be safe is further than the last one known.
local function is_news(p, ack)
  if ack == '' or not is_same_roster(p, ack) then return false end
  return p.ack == '' or is_after(ack, p.ack)
end

-- acknowledge: this position is safe; for processes that miss the doorbell.
--
--   ARGV[2]  position 14
--   returns  1
register('acknowledge', ALWAYS, {}, function(p, args)
  if p.check and not is_other_roster(p) and is_news(p, args[2]) then
    redis.call('HSET', p.meta, 'ack', args[2])
  end
  return 1
end)
