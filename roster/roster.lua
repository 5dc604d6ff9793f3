#!lua name=clearway
-- The roster's atomic reads and writes. The reasons: docs/architecture.md, The merge law; and
-- docs/architecture.md, Fields of meta.
--
-- A record is `u16 n`, n headers of 19 bytes (list u8, registers present u8, entry hash 6,
-- digest 8, content size u16, provenance size u8), registers of 6 bytes, contents,
-- provenances: roster/record.py. Nothing here orders strings with `<` (that is strcoll in
-- the server's locale). Numbers stay below 2^53.

local VERSION = ''  -- roster/library.py puts a hash of this file here, and in the name above

local UNKNOWN, ACTIVE, SUSPENDED, REMOVED, ABSENT = 0, 1, 2, 3, 4
local PUT, REMOVE, SUSPEND, RESUME, DROP, RESET = 1, 2, 3, 4, 5, 6
local UNREADABLE, APPLIED, DUPLICATE, SUPERSEDED, UNSEEN = 0, 1, 2, 3, 4
local RESTRICTING_BELOW = 200
local CANARY = 202  -- counted nowhere, and without a history: it comes every few seconds
local HEADER = 19
local LOG_AT_ONCE = 256
local EVENT = 32
local NO_MARK = '\0\0\0\0'
local NO_DIGEST = '\0\0\0\0\0\0\0\0'
local NO_PLACE = '\0\0\0\0\0\0\0\0\0\0\0\0\0\0'
local NO_ROSTER = '\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0'
local FORGOTTEN_BITS = 1048576
local NOBODYS_SEQ = 281474976710655  -- no log ever gets there: no filter has read up to it
local BUCKETS, SEAL, NO_SEAL = 1024, 14, NO_PLACE
local NEVER = 281474976710655  -- no time is later
local OPS = {[ACTIVE] = PUT, [SUSPENDED] = SUSPEND, [REMOVED] = REMOVE, [ABSENT] = DROP}

-- The standard library is there only while a function runs, not while this file loads.
local max, min, floor, spread, pack, unpack, sub, byte, char, bxor
local function bind()
  if max then return end
  max, min, floor, spread = math.max, math.min, math.floor, _G.unpack
  pack, unpack = struct.pack, struct.unpack
  sub, byte, char = string.sub, string.byte, string.char
  bxor = bit.bxor
end

-- Bytes -----------------------------------------------------------------------------

local function u48(n)
  local high = floor(n / 4294967296)
  return pack('>I2I4', high, n - high * 4294967296)
end

local function from_u48(s, at)
  local high, low = unpack('>I2I4', s, at)
  return high * 4294967296 + low
end

local function greater(a, b)
  local shorter = min(#a, #b)
  for i = 1, shorter do
    local x, y = byte(a, i), byte(b, i)
    if x ~= y then return x > y end
  end
  return #a > #b
end

local function xor(a, b)
  local a1, a2 = unpack('>I4I4', a)
  local b1, b2 = unpack('>I4I4', b)
  return pack('>I4I4', bxor(a1, b1) % 4294967296, bxor(a2, b2) % 4294967296)
end

local REGISTERS = {'L', 'R', 'S', 'U', 'A'}

local function blank(list, hash)
  return {list = list, hash = hash, digest = NO_DIGEST, content = '', prov = '',
          L = 0, R = 0, S = 0, U = 0, A = 0}
end

local function parse(record)
  local entries = {}
  if not record then return entries end
  local n = unpack('>I2', record)
  local at = 3
  for i = 1, n do
    local list, present = byte(record, at, at + 1)
    local content_size, prov_size = unpack('>I2B', record, at + 16)
    entries[i] = {list = list, hash = sub(record, at + 2, at + 7),
                  digest = sub(record, at + 8, at + 15), present = present % 32,
                  norev = present >= 32, content = content_size, prov = prov_size,
                  L = 0, R = 0, S = 0, U = 0, A = 0}
    at = at + HEADER
  end
  for i = 1, n do
    local e, present = entries[i], entries[i].present
    for k = 1, 5 do
      if present % 2 == 1 then
        e[REGISTERS[k]] = from_u48(record, at)
        at = at + 6
      end
      present = floor(present / 2)
    end
  end
  for _, name in ipairs({'content', 'prov'}) do
    for i = 1, n do
      local ends = at + entries[i][name]
      entries[i][name] = sub(record, at, ends - 1)
      at = ends
    end
  end
  if at ~= #record + 1 then error('UNREADABLE the record ends elsewhere') end
  return entries
end

-- The same, or false for what is no record: damaged, or of a version that is not out yet.
local function parsed(record)
  local whole, entries = pcall(parse, record)
  return whole and entries
end

-- An entry's header and its registers.
local function headed(e)
  local present, weight, registers = 0, 1, ''
  for k = 1, 5 do
    local value = e[REGISTERS[k]]
    if value > 0 then
      present = present + weight
      registers = registers .. u48(value)
    end
    weight = weight * 2
  end
  return char(e.list, present) .. e.hash .. e.digest .. pack('>I2B', #e.content, #e.prov), registers
end

local function serialize(entries)
  local n = #entries
  if n == 1 then  -- as most are
    local e = entries[1]
    local header, registers = headed(e)
    return '\0\1' .. header .. registers .. e.content .. e.prov
  end
  local out = {pack('>I2', n)}
  for i = 1, n do
    local e = entries[i]
    out[1 + i], out[1 + n + i] = headed(e)
    out[1 + 2 * n + i], out[1 + 3 * n + i] = e.content, e.prov
  end
  return table.concat(out)
end

-- The merge law (roster/law.py says the same in Python) ------------------------------

local function state(e)
  if e.R > 0 and e.R >= e.L then return REMOVED end
  if e.L == 0 then return UNKNOWN end
  if e.A >= e.L then return ABSENT end
  if e.S > e.R and e.S >= e.U then return SUSPENDED end
  return ACTIVE
end

local function live(s) return s == ACTIVE or s == SUSPENDED end

local function revision(e) return max(e.L, e.R, e.S, e.U, e.A) end

local function take(e, inc, listed_at)
  e.L, e.digest, e.content = listed_at, inc.digest, inc.content
  if state(e) ~= REMOVED then e.prov = inc.prov end
end

-- Raise listed_at with its content; true where the entry changed.
local function list(e, inc, listed_at, floor_ms)
  if listed_at < e.L then return false end
  if listed_at == e.L then
    if e.content == inc.content or not greater(inc.content, e.content) then return false end
  elseif e.L == 0 and listed_at <= floor_ms then
    e.A = max(e.A, floor_ms)
  end
  take(e, inc, listed_at)
  return true
end

local function put(e, inc, floor_ms)
  if inc.revision == e.L and e.content == inc.content then return DUPLICATE end
  if not list(e, inc, inc.revision, floor_ms) then return SUPERSEDED end
  return live(state(e)) and APPLIED or SUPERSEDED
end

local STATES = {R = REMOVED, S = SUSPENDED, U = ACTIVE, A = ABSENT}

local function raise(e, inc, register)
  if inc.revision <= e[register] then
    return inc.revision == e[register] and DUPLICATE or SUPERSEDED
  end
  e[register] = inc.revision
  if e.content == '' then e.content = inc.content end
  if e.L == 0 then e.prov = inc.prov return UNSEEN end
  local now = state(e)
  local wanted = STATES[register]
  if now ~= wanted then return SUPERSEDED end
  e.prov = inc.prov
  return APPLIED
end

local RAISES = {[REMOVE] = 'R', [SUSPEND] = 'S', [RESUME] = 'U', [DROP] = 'A'}

-- A row of a file. `as_of` is the file's; a row without a revision counts as edited then
-- where it differs, and never ends `removed` or `suspended`.
local function merge_row(e, inc, as_of, snapshot, floor_ms)
  local before = state(e)
  local changed = false
  if not inc.norev then
    if inc.L > 0 then changed = list(e, inc, inc.L, floor_ms) end
    for k = 2, 4 do
      local name = REGISTERS[k]
      if inc[name] > e[name] then
        e[name] = inc[name]
        changed = true
      end
    end
    if changed and e.content == '' then e.content = inc.content end
    if changed and state(e) ~= before then e.prov = inc.prov end
  elseif before == REMOVED then
    changed = false  -- it stays removed; below it counts as had by the file
  elseif inc.R > 0 then
    if as_of > e.R then e.R, e.prov, changed = as_of, inc.prov, true end
    if e.content == '' then e.content = inc.content end
  else
    if e.L == 0 or e.content ~= inc.content then
      changed = list(e, inc, as_of, floor_ms)
    end
    if inc.S > 0 and before ~= SUSPENDED and as_of > e.S then e.S, changed = as_of, true end
  end
  if snapshot and e.A > 0 and e.A <= as_of and inc.L > 0 then
    e.A = 0
    changed = true
  end
  return changed
end

-- A snapshot as of `as_of` lacks this entry; true where that changes it.
local function lack(e, as_of)
  if e.L > as_of or (e.L == 0 and max(e.R, e.S, e.U) > as_of) then return false end
  if e.A > 0 and e.A >= e.L then return false end
  e.A = as_of
  return true
end

local function expired(e, as_of, tombstone_ms)
  local s = state(e)
  return e.A > 0 and s ~= ACTIVE and s ~= SUSPENDED
    and as_of - max(e.A, e.R, e.S, e.U) >= tombstone_ms
end

-- Records, counts and the digest ------------------------------------------------------

local function find(entries, list_code, hash)
  for i = 1, #entries do
    if entries[i].list == list_code and entries[i].hash == hash then return entries[i] end
  end
end

local function insert(entries, e)
  local at, key = #entries + 1, from_u48(e.hash, 1)
  for i = 1, #entries do
    local other = entries[i]
    if other.list > e.list or (other.list == e.list and from_u48(other.hash, 1) > key) then
      at = i
      break
    end
  end
  table.insert(entries, at, e)
end

-- A field of `meta`, of a list and a state or an op; made once, for numbers are dear to spell.
local NAMES = {['n:'] = {}, ['t:'] = {}}
local function spelled(kind, list_code, of)
  local made, at = NAMES[kind], list_code * 8 + of
  local name = made[at]
  if not name then
    name = kind .. list_code .. ':' .. of
    made[at] = name
  end
  return name
end

local function add(delta, name, by) delta[name] = (delta[name] or 0) + by end

-- Count a record's entries into `delta`, times `sign`: once before a change, once after.
local function tally(delta, entries, sign)
  local lists, restricted = {}, false
  for i = 1, #entries do
    local e = entries[i]
    local s = state(e)
    if s ~= UNKNOWN then add(delta, 'n:' .. e.list .. ':' .. s, sign) end
    if e.L > 0 then add(delta, 'ever', sign) end
    if live(s) then
      lists[e.list] = true
      restricted = restricted or e.list < RESTRICTING_BELOW
      delta.digests[e.list] = xor(delta.digests[e.list] or NO_DIGEST, e.digest)
    end
  end
  for code in pairs(lists) do add(delta, 'p:' .. code, sign) end
  if restricted then add(delta, 'people', sign) end
end

-- Count what changing `e`, one of `entries`, amounts to; `before` is how it was.
local function recount(delta, entries, e, before)
  local was, now = before.state, state(e)
  if was ~= now then
    if was ~= UNKNOWN then add(delta, spelled('n:', e.list, was), -1) end
    if now ~= UNKNOWN then add(delta, spelled('n:', e.list, now), 1) end
  end
  if before.L == 0 and e.L > 0 then add(delta, 'ever', 1) end
  local digest = delta.digests[e.list] or NO_DIGEST
  if live(was) then digest = xor(digest, before.digest) end
  if live(now) then digest = xor(digest, e.digest) end
  delta.digests[e.list] = digest
  if live(was) == live(now) then return end
  local on_list, restricted = false, e.list >= RESTRICTING_BELOW
  for i = 1, #entries do
    local other = entries[i]
    if other ~= e and live(state(other)) then
      on_list = on_list or other.list == e.list
      restricted = restricted or other.list < RESTRICTING_BELOW
    end
  end
  local by = live(now) and 1 or -1
  if not on_list then add(delta, 'p:' .. e.list, by) end
  if not restricted then add(delta, 'people', by) end
end

-- Bring counts and digests to where `delta` says, and set the pairs of `more` with them.
local function flush(meta, delta, more)
  local names, values, sets = {}, {}, more or {}
  for code, digest in pairs(delta.digests) do
    if digest ~= NO_DIGEST then
      names[#names + 1], values[#values + 1] = 'd:' .. code, digest
    end
  end
  delta.digests = nil
  local digests = #names
  for name, by in pairs(delta) do
    if by ~= 0 then names[#names + 1], values[#values + 1] = name, by end
  end
  local known = #names > 0 and redis.call('HMGET', meta, spread(names)) or {}
  for i = 1, #names do
    sets[#sets + 1] = names[i]
    if i <= digests then
      sets[#sets + 1] = xor(known[i] or NO_DIGEST, values[i])
    else
      sets[#sets + 1] = tonumber(known[i] or 0) + values[i]
    end
  end
  if #sets > 0 then redis.call('HSET', meta, spread(sets)) end
end

-- The partition's state and its log ---------------------------------------------------

local function now_ms()
  local t = redis.call('TIME')
  return t[1] * 1000 + floor(t[2] / 1000), tonumber(t[1])
end

-- What a rewound partition has lost: the furthest position known to be safe, when it was
-- applied, the lists that were covered then, and the end of the log that was left. A version
-- that does not know of these has left none, or those of an earlier rewind.
local function open_lost(meta, p)
  p.lost, p.lost_ms, p.lost_lists, p.kept = '', 0, '', NO_PLACE
  if p.rewound ~= '1' then return end
  local m = redis.call('HMGET', meta, 'lost', 'lost_ms', 'lost_lists', 'kept', 'lost_in')
  if tonumber(m[5] or 0) ~= p.history then return end
  p.lost, p.lost_ms, p.lost_lists, p.kept = m[1], tonumber(m[2]), m[3], m[4]
end

-- `stamp` is the check value of the ID key and, where the caller knows it, the roster's id.
local function open(meta, stamp)
  local m = redis.call('HMGET', meta, 'check', 'history', 'seq', 'mark', 'covered', 'rewound',
                       'image', 'ack', 'roster', 'sealed')
  local p = {check = m[1], history = tonumber(m[2] or 0), seq = tonumber(m[3] or 0),
             mark = m[4] or NO_MARK, covered = m[5] or '', rewound = m[6] or '0',
             image = m[7] or '', ack = m[8] or '', roster = m[9] or '', sealed = m[10], stamp = stamp}
  if p.check and p.check ~= sub(stamp, 1, 8) then
    return nil, redis.error_reply('WRONGKEY the roster was loaded with another ID key')
  end
  open_lost(meta, p)
  return p
end

-- From the start there are `forgotten` and `seals`, be they empty: while a cluster moves the
-- partition, a call that names a key which is not there is refused.
local function found(meta, forgotten, seals, p, now_s)
  local named = sub(p.stamp, 9)
  if not p.sealed then
    redis.call('SET', seals, '', 'NX')
    redis.call('HSET', meta, 'sealed', '')
    p.sealed = ''
  end
  if not p.check or (named ~= '' and p.roster == '') then
    redis.call('SET', forgotten, '', 'NX')
  end
  if named ~= '' and p.roster == '' then
    redis.call('HSET', meta, 'roster', named)
    p.roster = named
  end
  if p.check then return end
  p.check, p.history = sub(p.stamp, 1, 8), max(p.history + 1, now_s)
  redis.call('HSET', meta, 'check', p.check, 'history', p.history, 'seq', 0, 'mark', NO_MARK)
end

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

local function union(a, b)
  for i = 1, #b do
    if not string.find(a, sub(b, i, i), 1, true) then a = a .. sub(b, i, i) end
  end
  return a
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

-- Whether this acknowledged position is news.
local function is_news(p, ack)
  if ack == '' or not is_ours(p, ack) then return false end
  if p.ack == '' then return true end
  local history, known = unpack('>I4', ack), unpack('>I4', p.ack)
  return history > known or (history == known and from_u48(ack, 5) > from_u48(p.ack, 5))
end

-- What speaks for a whole list: the last full file, one that is being merged and how far it
-- has come, and the newest revision of the tombstones that `forget` dropped.
local function told_of(meta, list_code)
  local m = redis.call('HMGET', meta, 'f:' .. list_code, 'b:' .. list_code, 'm:' .. list_code,
                       'g:' .. list_code)
  return {floor = tonumber(m[1] or 0), begun = m[2] and tonumber(string.match(m[2], '^%d+')),
          merged = tonumber(m[3] or 0), forgotten = tonumber(m[4] or 0)}
end

-- BITFIELD's operations on the seven bits of an entry, of the 2^20 of what was forgotten.
local function on_bits(field, e, op, value)
  local hex, out = redis.sha1hex(field .. char(e.list) .. e.hash), {}
  for i = 1, 35, 5 do
    out[#out + 1], out[#out + 2] = op, 'u1'
    out[#out + 1], out[#out + 2] = tonumber(sub(hex, i, i + 4), 16), value
  end
  return out
end

local function is_forgotten(forgotten, field, e)
  local bits = redis.call('BITFIELD_RO', forgotten, spread(on_bits(field, e, 'GET')))
  for i = 1, #bits do
    if bits[i] == 0 then return false end
  end
  return true
end

-- Remember that this entry's tombstone is dropped. The bit behind all of them is always 0: with
-- it the string has its size at once, and grows no more.
local function mark_forgotten(forgotten, field, e)
  redis.call('BITFIELD', forgotten, 'SET', 'u1', FORGOTTEN_BITS, 0,
             spread(on_bits(field, e, 'SET', 1)))
end

-- What an entry that is to be listed as of `listed_at` has to be newer than: the full file that
-- speaks for its place; and, where its own tombstone was dropped, all that were.
local function floor_of(told, forgotten, place, e, listed_at)
  local floor_ms = told.floor
  if told.begun and told.merged > unpack('>I2', place) then
    floor_ms = max(floor_ms, told.begun)
  end
  if e.L == 0 and told.forgotten > floor_ms and listed_at <= told.forgotten
    and is_forgotten(forgotten, sub(place, 3), e)
  then
    return told.forgotten
  end
  return floor_ms
end

-- Seals: a bucket's seal of a list says which rows of a file (a digest of 8, the loader's) would
-- change nothing, merged as of any later time; and since when (u48) the oldest tombstone is there
-- that the file lacks, which falls due by itself. They lie in one string, list after list in the
-- order of `sealed`. What else changes a bucket's entries of a list breaks its seal. All of
-- them hold only while every write is by a function that keeps them: a version without seals
-- raises `writes` alone.

local function seal_at(p, list_code, number)
  local slot = string.find(p.sealed, char(list_code), 1, true)
  return slot and ((slot - 1) * BUCKETS + number) * SEAL
end

-- From this bucket on a list has these seals.
local function set_seals(key, p, list_code, number, seals)
  local at = p.sealed and seal_at(p, list_code, number)
  if at then redis.call('SETRANGE', key, at, seals) end
end

-- How many writes were by functions that keep no seals; and how many were when they began.
local function unsealing(meta)
  local m = redis.call('HMGET', meta, 'writes', 'seal_writes', 'seal_base')
  return tonumber(m[1] or 0) - tonumber(m[2] or 0), tonumber(m[3] or -1)
end

-- The lists of a load have places for their seals; where others have written, all begin anew.
local function begin_seals(meta, seals, p, lists)
  local others, base = unsealing(meta)
  if others ~= base then
    redis.call('SET', seals, '')
    p.sealed = ''
  end
  p.sealed = union(p.sealed, lists)
  redis.call('HSET', meta, 'sealed', p.sealed, 'seal_base', others)
end

-- The seals, or false where they do not hold.
local function seals_of(meta, seals, p)
  local others, base = unsealing(meta)
  return p.sealed and others == base and redis.call('GET', seals)
end

-- Count one more write, by a function that keeps seals.
local function wrote(meta)
  redis.call('HINCRBY', meta, 'seal_writes', 1)
  redis.call('HINCRBY', meta, 'writes', 1)
end

-- What is read once for all changes of a call, by what names it.
local function once(cache, name, read, ...)
  local value = cache[name]
  if value == nil then
    value = read(...)
    cache[name] = value
  end
  return value
end

local function stored(bucket, field) return parsed(redis.call('HGET', bucket, field)) end

-- What an edit raises, if it changes anything but the content.
local function raised(e) return e.L + e.R + e.S + e.U + e.A end

-- One change of `apply`: `job` has what is to be written once all are merged.
local function change(job, bucket, history, arg)
  local place, field, prov = sub(arg, 1, 14), sub(arg, 3, 14), 37 + byte(arg, 37)
  local list_code, op, high, low = unpack('>BBI2I4', arg, 15)
  local inc = {revision = high * 4294967296 + low, digest = sub(arg, 29, 36),
               content = sub(arg, prov + 1), prov = job.stamp .. sub(arg, 38, prov)}
  local key = bucket .. field
  local entries = once(job.records, key, stored, bucket, field)
  if not entries then return pack('>BBB', UNREADABLE, 0, 0) .. u48(0) .. position(job.p) .. u48(0) end
  local hash = sub(arg, 23, 28)
  local e = find(entries, list_code, hash)
  if not e then
    e = blank(list_code, hash)
    insert(entries, e)
  end
  if inc.revision == 0 then inc.revision = max(job.at_ms, revision(e) + 1) end
  local before, outcome = {state = state(e), L = e.L, digest = e.digest, raised = raised(e),
                           content = e.content}, nil
  if op == PUT then
    local told = once(job.told, list_code, told_of, job.meta, list_code)
    outcome = put(e, inc, floor_of(told, job.forgotten, place, e, inc.revision))
  else
    outcome = raise(e, inc, RAISES[op])
  end
  local now, counted = state(e), list_code ~= CANARY
  if outcome ~= DUPLICATE then
    job.changed[key] = {bucket, field, entries}
    job.broken[#job.broken + 1] = {list_code, unpack('>I2', place)}
    if counted then recount(job.delta, entries, e, before) end
  end
  if outcome == APPLIED or outcome == UNSEEN
    or (outcome == DUPLICATE and (op == PUT or op == RESUME) and live(now))
  then
    local entry = log_entry(op, e, before.state, place, job.at_ms, inc.revision, inc.content,
                            inc.prov)
    job.log[#job.log + 1], job.log[#job.log + 2] = numbered(job.p, job.seed, entry)
    if counted then job.times[spelled('t:', list_code, op)] = true end
    if counted and outcome ~= DUPLICATE then
      local known = once(job.pasts, key, past, history, field)
      job.pasts[key] = with_event(known, entry, job.at_ms, job.keep_ms)
      job.remembered[key] = {history, field}
    end
  elseif live(now) then  -- a first load that was killed may have stored it and told nobody
    local entry = log_entry(OPS[now], e, before.state, place, job.at_ms, revision(e), e.content,
                            e.prov)
    job.log[#job.log + 1], job.log[#job.log + 2] = numbered(job.p, job.seed, entry)
  elseif raised(e) ~= before.raised or e.content ~= before.content then
    local entry = note(place, inc.revision, job.at_ms)
    job.log[#job.log + 1], job.log[#job.log + 2] = numbered(job.p, job.seed, entry)
  end
  return pack('>BBB', outcome, before.state, now) .. u48(revision(e)) .. position(job.p)
    .. u48(inc.revision)
end

-- apply: merge changes of one partition into their records, in order, and tell every process.
--
--   KEYS[1]  meta   hash    the partition's state
--   KEYS[2]  log    stream  changes
--   KEYS[3]  forgotten  string  bits of the entries that are forgotten
--   KEYS[4]  seals  string  digests of the rows that a bucket is known to be as
--   then for each change: bucket, a hash of records by field; history, a hash of what
--            happened to each person of the bucket
--   ARGV[1]  stamp: the ID key's check value 8, the roster's id 16 where it is known
--   ARGV[2]  mark seed 4;   ARGV[3] the process' high-water mark or '';  ARGV[4] keep_ms
--   then for each change: bucket number u16 and field 12, list u8, op u8, revision in ms u48
--            (0: now or stored + 1), entry hash 6, digest 8, size u8 and bytes of the
--            provenance's tail, content
--   returns  {applied_ms, joined for each change: outcome u8 (0: what is stored cannot be read,
--            and stays), was u8, state u8, revision u48, position 14, its own revision u48}
--            everything is merged before anything is written, and every outcome writes
--            something, so that WAIT has an offset to wait for
local function apply(keys, args)
  local meta = keys[1]
  local p, wrong = open(meta, args[1])
  if wrong then return wrong end
  for i = 5, #args do
    if byte(args[i], 37) > 248 then return redis.error_reply('ERR the provenance is too long') end
  end
  local at_ms, now_s = now_ms()
  found(meta, keys[3], keys[4], p, now_s)
  note_rewound(meta, keys[2], p, args[3])
  local job = {meta = meta, p = p, forgotten = keys[3], log = {}, seed = args[2], at_ms = at_ms,
               keep_ms = tonumber(args[4]), stamp = 'P' .. u48(at_ms), records = {}, told = {},
               changed = {}, broken = {}, pasts = {}, remembered = {}, times = {}, delta = {digests = {}}}
  local out = {}
  for i = 5, #args do out[#out + 1] = change(job, keys[2 * i - 5], keys[2 * i - 4], args[i]) end
  for _, c in pairs(job.changed) do redis.call('HSET', c[1], c[2], serialize(c[3])) end
  for _, b in ipairs(job.broken) do set_seals(keys[4], p, b[1], b[2], NO_SEAL) end
  for i = 1, #job.log, 2 do redis.call('XADD', keys[2], job.log[i], 'e', job.log[i + 1]) end
  for key, h in pairs(job.remembered) do redis.call('HSET', h[1], h[2], job.pasts[key]) end
  local sets = {}
  local function set(name, value) sets[#sets + 1], sets[#sets + 2] = name, value end
  if #job.log > 0 then
    set('seq', p.seq)
    set('mark', p.mark)
  end
  for name in pairs(job.times) do set(name, at_ms) end
  if is_news(p, args[3]) then set('ack', sub(args[3], 1, 14)) end
  add(job.delta, 'writes', #args - 4)  -- one for each: an older version's load counts them
  add(job.delta, 'seal_writes', #args - 4)
  flush(meta, job.delta, sets)
  return {at_ms, table.concat(out)}
end

-- begin: announce a snapshot; older ones are refused from here on.
--
--   KEYS[1]  meta;  KEYS[2] forgotten;  KEYS[3] seals
--   ARGV[1]  stamp;  ARGV[2] list codes, one byte each;  ARGV[3] as_of ms;  ARGV[4] nonce
--   returns  {position 14, covered, entries known}
local function begin(keys, args)
  local meta = keys[1]
  local p, wrong = open(meta, args[1])
  if wrong then return wrong end
  local _, now_s = now_ms()
  for i = 1, #args[2] do
    local begun = redis.call('HGET', meta, 'b:' .. byte(args[2], i))
    if begun and tonumber(string.match(begun, '^%d+')) > tonumber(args[3]) then
      return redis.error_reply('OLDER a newer snapshot of this list has begun')
    end
    local edited = redis.call('HGET', meta, 'ge:' .. byte(args[2], i))
    if edited and tonumber(args[3]) <= tonumber(edited) then
      return redis.error_reply('FORGOTTEN later removals of this list are not known any more')
    end
  end
  found(meta, keys[2], keys[3], p, now_s)
  begin_seals(meta, keys[3], p, args[2])
  for i = 1, #args[2] do
    local code = byte(args[2], i)
    redis.call('HSET', meta, 'b:' .. code, args[3] .. ':' .. args[4], 'm:' .. code, 0,
               'k:' .. code, 0, 'h:' .. code, p.history)
  end
  return {position(p), p.covered, tonumber(redis.call('HGET', meta, 'ever') or 0)}
end

local function still_mine(meta, lists, stamp)
  for i = 1, #lists do
    if redis.call('HGET', meta, 'b:' .. byte(lists, i)) ~= stamp then return false end
  end
  return true
end

local function codes(text)
  local set = {}
  for i = 1, #text do set[byte(text, i)] = true end
  return set
end

local ADDED, CHANGED, ENDED, UNCHANGED, SUPERSEDED_ROW = 1, 2, 3, 4, 5

-- One more entry of this list of which the file made that.
local function count(job, list_code, kind, by)
  local counts = job.counts[list_code]
  if not counts then
    counts = {0, 0, 0, 0, 0}
    job.counts[list_code] = counts
  end
  counts[kind] = counts[kind] + by
end

-- Log and remember one merged entry, unless its list's first load ends with a reset.
local function tell(job, e, was, place)
  if job.dry or not (job.partial or job.covered[e.list]) then return end
  local op = OPS[state(e)] or REMOVE
  local entry = log_entry(op, e, was, place, job.at_ms, revision(e), e.content, e.prov)
  append(job.log, job.p, job.seed, entry)
  job.told[e.list .. ':' .. op] = true
  remember(job.history, sub(place, 3), entry, job.at_ms, job.keep_ms)
end

local function copied(e)
  return {list = e.list, hash = e.hash, digest = e.digest, content = e.content, prov = e.prov,
          L = e.L, R = e.R, S = e.S, U = e.U, A = e.A}
end

-- Note how an entry was that a load changes, and how it leaves it: what `undo` goes by. What a
-- list's first load adds is known by its provenance. The notes are an event each.
local function note_before(job, e, before, place)
  local was, now = state(before), state(e)
  if job.dry or not (live(was) or live(now)) then return end
  if was == UNKNOWN and not (job.partial or job.covered[e.list]) then return end
  local left = copied(e)
  left.content, left.prov = '', ''
  local event = log_entry(OPS[now] or REMOVE, e, was, place, job.at_ms, revision(e), '',
                          serialize({before, left}))
  job.noted[#job.noted + 1] = pack('>I2', #event) .. event
end

-- The notes lie with the histories of the bucket's people, and are dropped as old as those.
local function keep_notes(job)
  if #job.noted == 0 then return end
  local name = 'undo:' .. job.nonce
  redis.call('HSET', job.history, name, past(job.history, name) .. table.concat(job.noted))
  job.noted = {}
end

-- Whether an entry is as a row says; a row without a state leaves a suspension alone.
local function as_told(e, inc)
  local s = state(e)
  if inc.R > 0 then return not live(s) end
  if not live(s) or e.content ~= inc.content then return false end
  if inc.S > 0 then return s == SUSPENDED end
  return inc.U == 0 or s == ACTIVE
end

-- Whether what an entry has that a row does not change is newer than the row.
local function is_newer(e, inc)
  return (state(e) == REMOVED and inc.R == 0)
    or (inc.L < e.L and not inc.norev and inc.content ~= e.content)
end

-- Whether the same row, merged into its entry once more as of any later time, changes nothing,
-- and counts as unchanged.
local function at_rest(e, inc)
  return as_told(e, inc) and not is_newer(e, inc)
    and (e.A == 0 or (inc.L == 0 and state(e) == REMOVED))
end

-- Show an entry about which file and roster disagree.
local function show(job, kind, e, place)
  if not job.shows then return end
  job.shown[#job.shown + 1] = char(kind, e.list) .. sub(place, 1, 2) .. pack('>I2', #e.content)
    .. e.content
end

-- Log an entry that a partial file states and that was there: a first load that was killed
-- may have stored it and told nobody. Of a list that is covered everybody knows it.
local function tell_again(job, e, place)
  local now = state(e)
  if job.dry or not job.partial or job.covered[e.list] or not live(now) then return end
  append(job.log, job.p, job.seed, log_entry(OPS[now], e, now, place, job.at_ms, revision(e),
                                             e.content, e.prov))
end

local function kept(job, e, place)
  local name = char(e.list) .. e.hash
  return job.kept[place .. name] or job.kept[NO_PLACE .. name]
end

-- What became of an entry that changed.
local function kind_of_change(was, now)
  if was == UNKNOWN and now == ABSENT then return SUPERSEDED_ROW end
  if was == UNKNOWN or (live(now) and not live(was)) then return ADDED end
  return live(was) and not live(now) and ENDED or CHANGED
end

-- The floor for a row; a full file's own list has none.
local function row_floor(job, e, inc, place)
  if job.snapshot[e.list] then return 0 end
  local told = once(job.floors, e.list, told_of, job.meta, e.list)
  return floor_of(told, job.forgotten, place, e, inc.norev and job.as_of or inc.L)
end

local function merge_rows(job, entries, rows, norev, place)
  local changed, seen = false, {}
  for i = 1, #rows do
    local inc = rows[i]
    inc.norev = inc.norev or norev
    local e = find(entries, inc.list, inc.hash)
    if not e then
      e = blank(inc.list, inc.hash)
      insert(entries, e)
    end
    seen[e] = true
    local was, before, equal = state(e), copied(e), as_told(e, inc)
    if merge_row(e, inc, job.as_of, job.snapshot[e.list], row_floor(job, e, inc, place)) then
      changed = true
      local still_gone = was == REMOVED and state(e) == REMOVED
      local kind = still_gone and SUPERSEDED_ROW or kind_of_change(was, state(e))
      count(job, e.list, kind, 1)
      if not equal then show(job, kind, e, place) end
      if not still_gone then tell(job, e, was, place) end
      note_before(job, e, before, place)
      job.others[e.list] = true
    else
      count(job, e.list, is_newer(e, inc) and SUPERSEDED_ROW or UNCHANGED, 1)
      if not equal then show(job, SUPERSEDED_ROW, e, place) end
      tell_again(job, e, place)
    end
    if not at_rest(e, inc) then job.oldest = 0 end
  end
  return changed, seen
end

-- End what the snapshot lacks, and forget old tombstones; the entries that are left.
local function end_others(job, entries, seen, place)
  local left, changed = {}, false
  for i = 1, #entries do
    local e = entries[i]
    local was, absent_at = state(e), e.A
    local lacks = job.snapshot[e.list] and not seen[e] and not kept(job, e, place)
    if lacks and lack(e, job.as_of) then
      changed = true
      if live(was) then
        local before = copied(e)
        before.A = absent_at
        count(job, e.list, ENDED, 1)
        show(job, ENDED, e, place)
        tell(job, e, was, place)
        note_before(job, e, before, place)
      end
    elseif lacks and live(was) then
      show(job, SUPERSEDED_ROW, e, place)
    end
    if lacks and expired(e, job.as_of, job.tombstone_ms) then
      changed = true
      if e.L > 0 then add(job.delta, 'ever', 1) end  -- who was listed once has been, also unknown
    else
      left[#left + 1] = e
      if job.snapshot[e.list] and not seen[e] then
        local ended = lacks and e.A > 0 and e.A >= e.L
        job.oldest = min(job.oldest, ended and max(e.A, e.R, e.S, e.U) or 0)
      end
    end
  end
  return left, changed
end

local function any_live(entries)
  for i = 1, #entries do
    if live(state(entries[i])) then return true end
  end
  return false
end

-- Whether a file's rows say that somebody is on a list.
local function rows_live(rows)
  for i = 1, #rows do
    local inc = rows[i]
    if inc.L > 0 and inc.R < inc.L then return true end
  end
  return false
end

-- Merge one record's rows (none: the file has nothing of this person) into its entries.
-- Returns the record where it changed, '' where nothing is left of it.
local function merge_record(job, old, rows, norev, place)
  local entries, expected = parsed(old), rows_live(rows)
  if not entries then  -- it stays as it is, and whom it is about in the filter
    if not expected then job.exceptions[#job.exceptions + 1] = sub(place, 3) .. '\1' end
    for i = 1, #rows do
      count(job, rows[i].list, SUPERSEDED_ROW, 1)
      show(job, SUPERSEDED_ROW, rows[i], place)
    end
    job.oldest = 0
    return nil
  end
  tally(job.delta, entries, -1)
  local changed, seen = merge_rows(job, entries, rows, norev, place)
  local left, ended = end_others(job, entries, seen, place)
  tally(job.delta, left, 1)
  if any_live(left) ~= expected then
    job.exceptions[#job.exceptions + 1] = sub(place, 3) .. (expected and '\0' or '\1')
  end
  if not changed and not ended then return nil end
  return #left > 0 and serialize(left) or ''
end

local PLAIN_NO_REVISION, PLAIN, MIXED = 255, 254, 0

-- Whether the stored record says what the rows say: one comparison of bytes.
local function same(old, rec, kind)
  local n = unpack('>I2', rec)
  local size = 2 + HEADER * n
  if kind == PLAIN then
    size = size + 6 * n
  elseif kind == MIXED then
    for i = 1, n do
      local present = byte(rec, 4 + HEADER * (i - 1))
      if present >= 32 then return false end
      while present > 0 do
        if present % 2 == 1 then size = size + 6 end
        present = floor(present / 2)
      end
    end
  end
  return sub(old, 1, size) == sub(rec, 1, size), n
end

-- What the records of new buckets count, as the loader has counted it.
local function count_filled(job, counted)
  local known = cjson.decode(counted)
  for code, by in pairs(known.added) do count(job, tonumber(code), ADDED, by) end
  for name, by in pairs(known.counts) do add(job.delta, name, by) end
  for code, hex in pairs(known.digests) do
    code = tonumber(code)
    local digest = pack('>I4I4', tonumber(sub(hex, 1, 8), 16), tonumber(sub(hex, 9, 16), 16))
    job.delta.digests[code] = xor(job.delta.digests[code] or NO_DIGEST, digest)
  end
end

-- A bucket that Redis does not hold yet: the rows are its records.
local function fill(job, counted, blob)
  local writes, at = {}, 1
  while at <= #blob do
    local size = unpack('>I4', blob, at + 13)
    local rec = sub(blob, at + 17, at + 16 + size)
    writes[#writes + 1] = sub(blob, at, at + 11)
    writes[#writes + 1] = byte(blob, at + 12) == MIXED and serialize(parse(rec)) or rec
    job.written = job.written + 1
    job.bytes = job.bytes + size
    at = at + 17 + size
  end
  count_filled(job, counted)
  return writes
end

-- A bucket's records by field.
local function by_field(stored)
  local olds = {}
  for i = 1, #stored, 2 do olds[stored[i]] = stored[i + 1] end
  return olds
end

-- The records of the people whom the rows name, by field.
local function named(bucket, blob)
  local fields, olds, at = {}, {}, 1
  while at <= #blob do
    fields[#fields + 1] = sub(blob, at, at + 11)
    at = at + 17 + unpack('>I4', blob, at + 13)
  end
  for i = 1, #fields, 200 do
    local last = min(i + 199, #fields)
    local got = redis.call('HMGET', bucket, spread(fields, i, last))
    for k = i, last do olds[fields[k]] = got[k - i + 1] or nil end
  end
  return olds
end

-- What `diff_buckets` collects while it merges dry: place, record before, record after.
local diffs = nil

-- A bucket that Redis holds: its records that change, of those in `olds`.
local function blend(job, bucket, number, olds, blob)
  local writes, gone, at = {}, {}, 1
  local prefix = pack('>I2', number)
  local function write(field, record, old)
    if record == nil then return end
    if diffs then
      diffs[#diffs + 1] = prefix .. field .. pack('>I4I4', #(old or ''), #record)
        .. (old or '') .. record
    end
    if record == '' then
      gone[#gone + 1] = field
    else
      writes[#writes + 1] = field
      writes[#writes + 1] = record
      job.bytes = job.bytes + #record
    end
    job.written = job.written + 1
  end
  while at <= #blob do
    local field, kind = sub(blob, at, at + 11), byte(blob, at + 12)
    local size = unpack('>I4', blob, at + 13)
    local rec = sub(blob, at + 17, at + 16 + size)
    at = at + 17 + size
    local old = olds[field]
    olds[field] = nil
    local equal, n = false, 0
    if old then equal, n = same(old, rec, kind) end
    if equal then
      for i = 3, 2 + HEADER * n, HEADER do count(job, byte(rec, i), UNCHANGED, 1) end
      if job.partial and not job.dry then
        for _, e in ipairs(parse(old)) do tell_again(job, e, prefix .. field) end
      end
    else
      write(field, merge_record(job, old, parse(rec), kind == PLAIN_NO_REVISION,
                                prefix .. field), old)
    end
  end
  if not job.partial then
    for field, old in pairs(olds) do
      write(field, merge_record(job, old, {}, false, prefix .. field), old)
    end
  end
  if #gone > 0 and not job.dry then redis.call('HDEL', bucket, spread(gone)) end
  return writes, #gone > 0
end

-- The numbers u16 of the buckets that have other seals than is told: for each run of buckets its
-- first number u16, how many they are u16, and their seals, list after list.
local function unsealed(job, told)
  local broken, found, at = {}, {}, 1
  while at <= #told do
    local first, count = unpack('>I2I2', told, at)
    at = at + 4
    for i = 1, #job.lists do
      local mine = sub(told, at, at + count * SEAL - 1)
      local from = job.seals and seal_at(job.p, byte(job.lists, i), first)
      local held = from and sub(job.seals, from + 1, from + count * SEAL) or ''
      for n = 1, held == mine and 0 or count do
        local part = n * SEAL - SEAL + 1
        if sub(held, part, n * SEAL) ~= sub(mine, part, n * SEAL) then broken[first + n - 1] = true end
      end
      at = at + count * SEAL
    end
  end
  for number in pairs(broken) do found[#found + 1] = pack('>I2', number) end
  return table.concat(found)
end

-- Seal a bucket that was merged, where it is as the rows say; and break what others it had.
local function seal_bucket(job, number, digests)
  for i = 1, job.seals and #job.lists or 0 do
    local code = byte(job.lists, i)
    local seal = sub(digests, i * 8 - 7, i * 8) .. u48(job.oldest)
    if job.oldest == 0 or digests == '' then seal = NO_SEAL end
    set_seals(job.seals_key, job.p, code, number, seal)
    job.others[code] = nil
  end
  for code in pairs(job.others) do set_seals(job.seals_key, job.p, code, number, NO_SEAL) end
end

local function merge_bucket(job, bucket, number, counted, blob)
  local stored, writes, gone = job.partial and {} or redis.call('HGETALL', bucket), nil, nil
  -- The rows of a list that is covered have to be told one by one.
  if #stored == 0 and not job.partial and not job.tells and not job.shows and counted ~= '' then
    writes = fill(job, counted, blob)
  else
    local olds = job.partial and named(bucket, blob) or by_field(stored)
    writes, gone = blend(job, bucket, number, olds, blob)
  end
  if #writes > 0 or gone then job.touched[#job.touched + 1] = pack('>I2', number) end
  if job.dry then return end
  keep_notes(job)
  for i = 1, #writes, 200 do
    redis.call('HSET', bucket, spread(writes, i, min(i + 199, #writes)))
  end
end

local function set_of(items)
  local set = {}
  for at = 1, #items, 21 do set[sub(items, at, at + 20)] = true end
  return set
end

local function close_merge(job, meta, lists, upto)
  flush(meta, job.delta)
  if job.p.seq ~= job.first_seq then
    redis.call('HSET', meta, 'seq', job.p.seq, 'mark', job.p.mark)
  end
  for name in pairs(job.told) do redis.call('HSET', meta, 't:' .. name, job.at_ms) end
  for i = 1, #lists do  -- of two calls under way the second may come first
    local name = 'm:' .. byte(lists, i)
    local known = tonumber(redis.call('HGET', meta, name) or 0)
    redis.call('HSET', meta, name, max(known, tonumber(upto)))
    redis.call('HINCRBY', meta, 'k:' .. byte(lists, i), 1)
  end
  wrote(meta)
end

-- The reply of a merge.
local function told(job)
  local out = {job.first_seq, job.p.seq, job.written, job.bytes,
               table.concat(job.touched), table.concat(job.exceptions), table.concat(job.shown)}
  for code, counts in pairs(job.counts) do
    out[#out + 1] = code
    for i = 1, 5 do out[#out + 1] = counts[i] end
  end
  return out
end

-- read_seals: those of a snapshot's lists.
--
--   KEYS[1]  meta;  KEYS[2] seals
--   ARGV[1]  check;  ARGV[2] lists of the snapshot, one byte each
--   returns  {the seals of all buckets, list after list; '' where they do not hold}
local function read_seals(keys, args)
  local p, wrong = open(keys[1], args[1])
  if wrong then return wrong end
  local seals, out = seals_of(keys[1], keys[2], p), {}
  for i = 1, seals and #args[2] or 0 do
    local at = seal_at(p, byte(args[2], i), 0) or #seals
    local mine = sub(seals, at + 1, at + BUCKETS * SEAL)
    out[i] = mine .. string.rep('\0', BUCKETS * SEAL - #mine)
  end
  return {table.concat(out)}
end

-- merge_buckets: bring a file's rows into some buckets of one partition.
--
--   KEYS[1]  meta;  KEYS[2] log;  KEYS[3] forgotten;  KEYS[4] seals;  then bucket and history
--            of each bucket that has rows
--   ARGV[1]  check;  ARGV[2] lists of the snapshot, one byte each, '' for a partial file
--   ARGV[3]  as_of ms;  ARGV[4] nonce;  ARGV[5] tombstone ms;  ARGV[6] keep ms
--   ARGV[7]  mark seed;  ARGV[8] number of the bucket after the last
--   ARGV[9]  'dry': write nothing, only say what would become of the rows; 'show': and about
--            which entries file and roster disagree; or ''
--   ARGV[10] entries that count as present, 21 bytes each: place 14 (zeros: any), list, hash 6
--   ARGV[11] seals of buckets, which say that the rows change nothing, so that they are left
--            out: for each run of them the first number u16, their count u16, and their seals,
--            list after list
--   then for each bucket: number, tally (JSON of counts and digests, or '' for none),
--            rows: per record
--            field 12, kind u8 (255: no row has a revision and all are plainly listed,
--            254: all have one and are plainly listed, 0: any; there a row without a revision
--            has 32 added to its header's registers), size u32, record;  and the digests of the
--            rows, 8 for each list of the snapshot
--   returns  {the log's seq before and after, records written, their
--            bytes, numbers u16 of the buckets that change, who is (1) or is not (0) on a list
--            other than the rows say: field 12 and that byte, what is shown: added, changed ..
--            (1 ..) u8, list u8, bucket u16, content's size u16, content, then per list: code,
--            added, changed, ended, unchanged, superseded};
--            {-1, numbers u16}, and nothing is merged, where these buckets are told to be
--            sealed, and are not
local function merge_buckets(keys, args)
  local meta, log = keys[1], keys[2]
  local p, wrong = open(meta, args[1])
  if wrong then return wrong end
  local lists, dry = args[2], args[9] ~= ''
  if not dry and not still_mine(meta, lists, args[3] .. ':' .. args[4]) then
    return redis.error_reply('OLDER another load of this list has begun')
  end
  local at_ms, now_s = now_ms()
  if not dry then found(meta, keys[3], keys[4], p, now_s) end
  local job = {meta = meta, log = log, forgotten = keys[3], floors = {}, p = p, seed = args[7],
               at_ms = at_ms, as_of = tonumber(args[3]),
               tombstone_ms = tonumber(args[5]), keep_ms = tonumber(args[6]), lists = lists,
               snapshot = codes(lists), partial = #lists == 0, covered = codes(p.covered),
               kept = set_of(args[10]), delta = {digests = {}}, counts = {}, written = 0,
               bytes = 0, touched = {}, exceptions = {}, told = {}, dry = dry,
               shows = args[9] == 'show', shown = {}, seals_key = keys[4],
               seals = seals_of(meta, keys[4], p), first_seq = p.seq, nonce = args[4], noted = {}}
  local broken = unsealed(job, args[11])
  if broken ~= '' then return {-1, broken} end
  for i = 1, #lists do job.tells = job.tells or job.covered[byte(lists, i)] end
  local arg = 12
  for k = 5, #keys, 2 do
    local number = tonumber(args[arg])
    job.history, job.oldest, job.others = keys[k + 1], NEVER, {}
    merge_bucket(job, keys[k], number, args[arg + 1], args[arg + 2])
    if not dry then seal_bucket(job, number, args[arg + 3]) end
    arg = arg + 4
  end
  if not dry then close_merge(job, meta, lists, args[8]) end
  return told(job)
end

-- diff_buckets: which records a file's rows would change, and into what; nothing is written.
--
--   KEYS, ARGV  as merge_buckets takes them, with 'dry'
--   returns  {for each record: place 14, size before u32, size after u32, both records; one that
--            there is not is empty}
local function diff_buckets(keys, args)
  diffs = {}
  local whole, reply = pcall(merge_buckets, keys, args)
  local found = table.concat(diffs)
  diffs = nil
  if not whole then error(reply, 0) end
  if reply.err then return reply end
  return {found}
end

-- fill_buckets: bring a full file's rows into some buckets that are not there yet.
--
--   KEYS[1]  meta;  KEYS[2] seals;  then the buckets
--   ARGV[1]  check;  ARGV[2] lists of the snapshot, one byte each
--   ARGV[3]  as_of ms;  ARGV[4] nonce;  ARGV[5] number of the bucket after the last
--   ARGV[6]  records;  ARGV[7] their bytes
--   ARGV[8]  tally of all of them (JSON of counts and digests)
--   ARGV[9]  the first one's number;  ARGV[10] their seals, list after list
--   then for each bucket: what RESTORE takes for it, '' where the file has nothing
--   returns  as merge_buckets does; {-1}, and nothing is written, where a bucket is there,
--            where a list is covered already (its rows have to be told one by one), or
--            where the server does not take what it is to restore
local function fill_buckets(keys, args)
  local meta, lists = keys[1], args[2]
  local p, wrong = open(meta, args[1])
  if wrong then return wrong end
  if not still_mine(meta, lists, args[3] .. ':' .. args[4]) then
    return redis.error_reply('OLDER another load of this list has begun')
  end
  local covered = codes(p.covered)
  for i = 1, #lists do
    if covered[byte(lists, i)] then return {-1} end
  end
  if redis.call('EXISTS', spread(keys, 3)) > 0 then return {-1} end
  for k = 3, #keys do
    local payload = args[k + 8]
    if payload ~= '' and redis.pcall('RESTORE', keys[k], 0, payload).err then
      redis.call('DEL', spread(keys, 3))
      return {-1}
    end
  end
  for i = 1, seals_of(meta, keys[2], p) and #lists or 0 do
    local size = (#keys - 2) * SEAL
    local seals = sub(args[10], (i - 1) * size + 1, i * size)
    set_seals(keys[2], p, byte(lists, i), tonumber(args[9]), seals)
  end
  local job = {p = p, first_seq = p.seq, delta = {digests = {}}, counts = {}, told = {},
               written = tonumber(args[6]), bytes = tonumber(args[7]), touched = {},
               exceptions = {}, shown = {}}
  count_filled(job, args[8])
  close_merge(job, meta, lists, args[5])
  return told(job)
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

-- Whether all that a load has merged here is still there: every call has left its count.
local function has_merged(meta, lists, calls)
  for i = 1, #lists do
    if redis.call('HGET', meta, 'k:' .. byte(lists, i)) ~= calls then return false end
  end
  return true
end

-- finish: a partition has its snapshot: floor, coverage, and for a first load the image
-- and a reset, after which no process is fresh until it holds an image that covers it. A
-- rewound partition stays so until all its lists have been loaded from newer files.
--
--   KEYS[1]  meta;  KEYS[2] log;  KEYS[3] image
--   ARGV[1]  check;  ARGV[2] lists;  ARGV[3] as_of;  ARGV[4] nonce;  ARGV[5] mark seed
--   ARGV[6]  position 14 that the bits include;  ARGV[7] the filter's bytes
--   ARGV[8]  how many calls have merged something for it here;  ARGV[9] 'some' where only some
--            buckets were merged: that makes nothing good of what a rewound partition has lost
--   returns  {position 14}
local function finish(keys, args)
  local meta, log, image = keys[1], keys[2], keys[3]
  local p, wrong = open(meta, args[1])
  if wrong then return wrong end
  local lists, as_of = args[2], tonumber(args[3])
  if not still_mine(meta, lists, args[3] .. ':' .. args[4]) then
    return redis.error_reply('OLDER another load of this list has begun')
  end
  local where = reached(log, p, args[6])
  if where == 'ahead' or where == 'other' or not has_merged(meta, lists, args[8]) then
    return redis.error_reply('PUTBACK an older state of the roster came back meanwhile')
  end
  note_rewound(meta, log, p, '')
  local at_ms, now_s = now_ms()
  local load = {lists = lists, as_of = as_of, from = args[6], outdated = where ~= 'here'}
  if args[9] ~= 'some' then make_good(meta, log, p, load, now_s) end
  local covered, told = codes(p.covered), p.seq
  for i = 1, #lists do
    local code = byte(lists, i)
    if not covered[code] then
      p.covered = p.covered .. char(code)
      append(log, p, args[5], char(RESET, code, 0, 0) .. NO_PLACE
             .. u48(as_of) .. u48(at_ms) .. '\0\0')
    end
    redis.call('HSET', meta, 'f:' .. code, args[3], 'w:' .. code, at_ms)
    redis.call('HDEL', meta, 'm:' .. code, 'k:' .. code, 'h:' .. code)
  end
  if p.seq == told then
    local up_to_date = load.from == position(p)
    append(log, p, args[5], note(NO_PLACE, as_of, at_ms))
    if up_to_date then load.from = position(p) end
  end
  local covers = pack('>I4', p.history) .. u48(p.seq)
  redis.call('HSET', meta, 'covered', p.covered, 'seq', p.seq, 'mark', p.mark)
  if load.outdated then
    redis.call('DEL', image)
    redis.call('HDEL', meta, 'image')
  else
    redis.call('SET', image, load.from .. covers .. args[7])
    redis.call('HSET', meta, 'image', load.from .. covers)
  end
  redis.call('HDEL', meta, 'unlogged')  -- an older version's load counts in it while it compares
  wrote(meta)
  return {position(p)}
end

-- uncover: these lists count as never loaded in full, until the next full file.
--
--   KEYS[1]  meta;  KEYS[2] log
--   ARGV[1]  check;  ARGV[2] lists, one byte each;  ARGV[3] mark seed 4
--   returns  {1 where one of them was covered}
local function uncover(keys, args)
  local meta, p, wrong = keys[1], open(keys[1], args[1])
  if wrong then return wrong end
  local gone, left, at_ms = codes(args[2]), '', now_ms()
  for i = 1, #p.covered do
    if not gone[byte(p.covered, i)] then left = left .. sub(p.covered, i, i) end
  end
  wrote(meta)
  if left == p.covered then return {0} end
  for code in pairs(gone) do redis.call('HDEL', meta, 'f:' .. code, 'w:' .. code) end
  append(keys[2], p, args[3], note(NO_PLACE, at_ms, at_ms))
  redis.call('HSET', meta, 'covered', left, 'seq', p.seq, 'mark', p.mark)
  return {1}
end

-- set_image: renew a partition's image where this one is newer and the log holds its mark.
--
--   KEYS[1]  meta;  KEYS[2] log;  KEYS[3] image
--   ARGV[1]  check;  ARGV[2] position 14 that the bits include;  ARGV[3] the filter's bytes
--   ARGV[4]  trim the log up to this seq, at most the image's
--   returns  {1 where it was taken}
local function set_image(keys, args)
  local meta, log, image = keys[1], keys[2], keys[3]
  local p, wrong = open(meta, args[1])
  if wrong then return wrong end
  local from = args[2]
  if p.rewound == '1' or reached(log, p, from) ~= 'here' then return {0} end
  local old = p.image
  if old ~= '' and unpack('>I4', old) == p.history and from_u48(old, 5) > from_u48(from, 5) then
    return {0}
  end
  -- A first load has finished since these bits were read: they do not cover its reset.
  if old ~= '' and unpack('>I4', old, 15) == p.history
    and from_u48(old, 19) > from_u48(from, 5)
  then
    return {0}
  end
  local covers = sub(from, 1, 10)
  redis.call('SET', image, from .. covers .. args[3])
  redis.call('HSET', meta, 'image', from .. covers)
  local trim = min(tonumber(args[4]), from_u48(from, 5))
  if trim > 0 then redis.call('XTRIM', log, 'MINID', id(p, trim)) end
  return {1}
end

-- lookup: records, and everything that says whether they may be believed.
--
--   KEYS[1]  meta;  KEYS[2] log;  then one bucket for each record
--   ARGV[1]  stamp;  ARGV[2] the process' high-water mark or ''
--   ARGV[3]  at_least, 14 or '';  then one field for each record
--   returns  {position 14, covered, rewound, 1 where at_least is reached, now_ms, record...}
local function lookup(keys, args)
  local meta, log = keys[1], keys[2]
  local p, wrong = open(meta, args[1])
  if wrong then return wrong end
  note_rewound(meta, log, p, args[2])
  local known = (is_foreign(p) or behind(log, p, args[3])) and 0 or 1
  local out = {position(p), p.covered, p.rewound, known, (now_ms())}
  if not p.check then out[2] = '' end
  for i = 3, #keys do
    out[#out + 1] = redis.call('HGET', keys[i], args[i + 1])
  end
  return out
end

-- Put the log's entries after `seq` into the reply of `tail`: so many, of so many bytes.
local function read_log(out, log, p, seq, entries, bytes)
  while entries > 0 and bytes > 0 and seq < p.seq do
    local wanted = min(entries, LOG_AT_ONCE)
    local got = redis.call('XRANGE', log, id(p, seq + 1), '+', 'COUNT', wanted)
    if #got == 0 then out[7] = 1 end
    for i = 1, #got do
      local number, entry = tonumber(string.match(got[i][1], '-(%d+)$')), got[i][2][2]
      if number ~= seq + 1 then out[7] = 1 end
      if bytes <= 0 or out[7] == 1 then return end
      out[#out + 1] = u48(number) .. entry
      seq, bytes = number, bytes - #entry
    end
    if #got < wanted then return end
    entries = entries - wanted
  end
end

-- tail: what a poll reads: the log after a position, and the partition's state.
--
--   KEYS[1]  meta;  KEYS[2] log
--   ARGV[1]  check;  ARGV[2] the position applied so far, 14 or '';  ARGV[3] high-water mark
--   ARGV[4]  at most so many entries;  ARGV[5] of so many bytes (at least one, if there is one)
--   returns  {position 14, covered, rewound, ack, image header 24, now_ms, status, the
--            roster's id or '', what a rewound partition has lost: position 14 or '', entry...}
--            status 0: goes on; 1: another history, a gap or another mark, start again.
--            an entry is its seq in 6 bytes and its bytes
local function tail(keys, args)
  local meta, log = keys[1], keys[2]
  local p, wrong = open(meta, args[1])
  if wrong then return wrong end
  note_rewound(meta, log, p, args[3])
  local out = {position(p), p.covered, p.rewound, p.ack, p.image, (now_ms()), 0, p.roster,
               p.lost}
  if args[2] == '' then return out end
  local where = reached(log, p, args[2])
  local seq = from_u48(args[2], 5)
  -- Just before the oldest entry kept: its mark is gone with it, and is sent as zeros.
  if where == 'trimmed' and sub(args[2], 11, 14) == NO_MARK then where = 'here' end
  if where ~= 'here' then
    out[7] = 1
    return out
  end
  if seq == p.seq then return out end
  read_log(out, log, p, seq, tonumber(args[4]), tonumber(args[5]))
  return out
end

-- here: which positions the log goes through, whatever a fail-over may have put in their place.
--
--   KEYS[1]  meta;  KEYS[2] log
--   ARGV[1]  check;  ARGV[2..] positions, 14 each
--   returns  '1' or '0' for each of them, joined
local function here(keys, args)
  local p, wrong = open(keys[1], args[1])
  if wrong then return wrong end
  local out = ''
  for i = 2, #args do
    out = out .. (reached(keys[2], p, args[i]) == 'here' and '1' or '0')
  end
  return out
end

-- acknowledge: this position is safe; for processes that miss the doorbell.
--
--   KEYS[1]  meta
--   ARGV[1]  stamp;  ARGV[2] position 14
--   returns  1
local function acknowledge(keys, args)
  local p, wrong = open(keys[1], args[1])
  if wrong then return wrong end
  if p.check and not is_foreign(p) and is_news(p, args[2]) then
    redis.call('HSET', keys[1], 'ack', args[2])
  end
  return 1
end

-- adopt: the partition says of which roster it is.
--
--   KEYS[1]  meta;  KEYS[2] forgotten;  KEYS[3] seals
--   ARGV[1]  stamp
--   returns  the roster's id, or '' where there is no partition yet
local function adopt(keys, args)
  local p, wrong = open(keys[1], args[1])
  if wrong then return wrong end
  if p.check then found(keys[1], keys[2], keys[3], p, 0) end
  return p.roster
end

-- Whether a record's person belongs in the filter.
local function belongs(record)
  local n = unpack('>I2', record)
  local at, registers = 3, 3 + HEADER * n
  for _ = 1, n do
    local present = byte(record, at + 1)
    if present == 1 then return true end
    local e = {L = 0, R = 0, S = 0, U = 0, A = 0}
    for r = 1, 5 do
      if present % 2 == 1 then
        e[REGISTERS[r]] = from_u48(record, registers)
        registers = registers + 6
      end
      present = floor(present / 2)
    end
    if live(state(e)) then return true end
    at = at + HEADER
  end
  return false
end

-- fields: the fields of everybody who belongs in the filter, joined.
--
--   KEYS     buckets of one partition
--   returns  one string of 12 bytes a person
local function fields(keys)
  local out = {}
  for k = 1, #keys do
    local stored = redis.call('HGETALL', keys[k])
    for i = 1, #stored, 2 do
      local whole, is_live = pcall(belongs, stored[i + 1])
      -- Whoever's record cannot be read has to be asked about.
      if is_live or not whole then out[#out + 1] = stored[i] end
    end
  end
  return table.concat(out)
end

-- accept: end `rewound`: what is stored is the roster from now on, in a new history. Also
-- where it is not rewound somebody has looked, which is noted.
--
--   KEYS[1]  meta;  KEYS[2] log;  KEYS[3] image
--   ARGV[1]  check
--   returns  {1 where it was rewound}
local function accept(keys, args)
  local meta, log = keys[1], keys[2]
  local p, wrong = open(meta, args[1])
  if wrong then return wrong end
  local at_ms, now_s = now_ms()
  if p.check then redis.call('HSET', meta, 'accepted', at_ms) end
  if p.rewound ~= '1' then return {0} end
  end_rewind(meta, log, p, now_s)
  redis.call('DEL', keys[3])
  redis.call('HDEL', meta, 'image', 'ack')
  return {1}
end

-- restored: an older state came back while nobody looked: it counts as rewound, without a
-- witness, and what was acknowledged until now as lost.
--
--   KEYS[1]  meta
--   ARGV[1]  check
--   returns  {1 where there is such a partition}
local function restored(keys, args)
  local p, wrong = open(keys[1], args[1])
  if wrong then return wrong end
  if not p.check then return {0} end
  local at_ms, now_s = now_ms()
  local next_history = max(p.history + 1, now_s)
  lose(p, nobodys(next_history), at_ms, p.covered)
  rewind(keys[1], p, next_history)
  write_lost(keys[1], p)
  return {1}
end

-- read: all records of some buckets of one partition.
--
--   KEYS     buckets
--   returns  for each bucket that is not empty: its place among KEYS, {field, record, ...}
local function read(keys)
  local out = {}
  for k = 1, #keys do
    local stored = redis.call('HGETALL', keys[k])
    if #stored > 0 then
      out[#out + 1] = k
      out[#out + 1] = stored
    end
  end
  return out
end

-- Where a person's history from `cutoff_ms` on begins.
local function first_since(events, cutoff_ms)
  local from = 1
  while from <= #events and from_u48(events, from + 26) < cutoff_ms do
    from = from + 2 + unpack('>I2', events, from)
  end
  return from
end

-- purge: drop what is older from the people's own histories.
--
--   KEYS     history hashes of one partition
--   ARGV[1]  keep what happened from this time on, in ms
--   returns  how many people's were changed
local function purge(keys, args)
  local cutoff_ms, changed = tonumber(args[1]), 0
  for k = 1, #keys do
    local stored = redis.call('HGETALL', keys[k])
    for i = 1, #stored, 2 do
      local events = stored[i + 1]
      local whole, from = pcall(first_since, events, cutoff_ms)
      if not whole then from = 1 end  -- what cannot be read stays
      if from > #events then
        redis.call('HDEL', keys[k], stored[i])
      elseif from > 1 then
        redis.call('HSET', keys[k], stored[i], sub(events, from))
      end
      if from > 1 then changed = changed + 1 end
    end
  end
  return changed
end

-- Whether no full file of the list as of `quiet_ms` or later, nor any file, has come since then,
-- and none is being merged.
local function comes_alone(meta, code, quiet_ms)
  local told = told_of(meta, code)
  local m = redis.call('HMGET', meta, 'm:' .. code, 'w:' .. code)
  return not m[1] and max(told.floor, told.begun or 0, tonumber(m[2] or 0)) < quiet_ms
end

-- Whether a record has entries of these lists that are more than plainly listed.
local function has_edited(record, lists)
  local n = unpack('>I2', record)
  for at = 3, 2 + HEADER * n, HEADER do
    local list, present = byte(record, at, at + 1)
    if lists[list] and present ~= 1 then return true end
  end
  return false
end

-- Whether this is a tombstone, last edited and applied before `cutoff_ms`.
local function outlived(e, cutoff_ms)
  if live(state(e)) or revision(e) >= cutoff_ms then return false end
  return sub(e.prov, 1, 1) ~= 'P' or #e.prov < 7 or from_u48(e.prov, 2) < cutoff_ms
end

-- A record's tombstones that it has outlived, and its other entries.
local function divided(record, lists, cutoff_ms)
  local gone, left = {}, {}
  if not has_edited(record, lists) then return gone, left end
  local entries = parse(record)
  for i = 1, #entries do
    local e = entries[i]
    local into = lists[e.list] and outlived(e, cutoff_ms) and gone or left
    into[#into + 1] = e
  end
  return gone, left
end

-- Drop these entries of a record; `newest` keeps the newest revision of each list's, and that
-- of an edit by itself: a file may be as of when an earlier one ended an entry, and later.
local function drop(job, bucket, field, gone, left)
  for i = 1, #gone do
    local e = gone[i]
    mark_forgotten(job.forgotten, field, e)
    for name, at in pairs({['g:'] = revision(e), ['ge:'] = max(e.R, e.S, e.U)}) do
      job.newest[name .. e.list] = max(job.newest[name .. e.list] or 0, at)
    end
    if state(e) ~= UNKNOWN then add(job.delta, 'n:' .. e.list .. ':' .. state(e), -1) end
  end
  if #left > 0 then
    redis.call('HSET', bucket, field, serialize(left))
  else
    redis.call('HDEL', bucket, field)
  end
end

-- forget: drop old tombstones of lists that come by changes alone. Nothing brings them back:
-- from then on a `put` of one of them is superseded at or below the newest that was dropped.
--
--   KEYS[1]  meta;  KEYS[2] forgotten, a string of bits by which they are known;  KEYS[3] seals;
--            then buckets of the partition
--   ARGV[1]  check;  ARGV[2] lists, one byte each
--   ARGV[3]  drop what was last edited and applied before, in ms
--   ARGV[4]  a list with a full file as of then, or loaded then, or later does not come by
--            changes alone
--   returns  how many people's records were changed; 0 while it is rewound
local function forget(keys, args)
  local meta, cutoff_ms, lists = keys[1], tonumber(args[3]), {}
  local p, wrong = open(meta, args[1])
  if wrong then return wrong end
  if p.rewound ~= '0' then return 0 end
  for code in pairs(codes(args[2])) do
    lists[code] = comes_alone(meta, code, tonumber(args[4])) or nil
  end
  local job, changed = {forgotten = keys[2], newest = {}, delta = {digests = {}}}, 0
  for k = 4, #keys do
    local stored = next(lists) and redis.call('HGETALL', keys[k]) or {}
    for i = 1, #stored, 2 do
      local whole, gone, left = pcall(divided, stored[i + 1], lists, cutoff_ms)
      if whole and #gone > 0 then  -- what cannot be read stays
        changed = changed + 1
        drop(job, keys[k], stored[i], gone, left)
      end
    end
  end
  if changed == 0 then return 0 end
  local sets = {}
  for name, at in pairs(job.newest) do
    local known = tonumber(redis.call('HGET', meta, name) or 0)
    sets[#sets + 1], sets[#sets + 2] = name, max(known, at)
  end
  for code in pairs(lists) do
    set_seals(keys[3], p, code, 0, string.rep(NO_SEAL, BUCKETS))
  end
  add(job.delta, 'writes', 1)
  add(job.delta, 'seal_writes', 1)
  flush(meta, job.delta, sets)
  return changed
end

-- trim: drop the log's entries before a seq, at most those that the image includes.
--
--   KEYS[1]  meta;  KEYS[2] log
--   ARGV[1]  check;  ARGV[2] seq
--   returns  how many were dropped
local function trim(keys, args)
  local p, wrong = open(keys[1], args[1])
  if wrong then return wrong end
  if p.image == '' or unpack('>I4', p.image) ~= p.history then return 0 end
  local upto = min(tonumber(args[2]), from_u48(p.image, 5))
  return upto > 0 and redis.call('XTRIM', keys[2], 'MINID', id(p, upto)) or 0
end

-- settle: write something, so that WAIT has an offset to wait for.
--
--   KEYS[1]  meta
--   returns  {1}
local function settle(keys)
  wrote(keys[1])
  return {1}
end

local function register(name, callback, flags)
  redis.register_function{function_name = name .. VERSION, flags = flags, callback = function(keys, args)
    bind()
    return callback(keys, args)
  end}
end

register('apply', apply, {})
register('apply_oom', apply, {'allow-oom'})
register('begin', begin, {})
register('read_seals', read_seals, {'no-writes'})
register('merge_buckets', merge_buckets, {})
register('diff_buckets', diff_buckets, {'no-writes'})
register('fill_buckets', fill_buckets, {})
register('finish', finish, {})
register('uncover', uncover, {'allow-oom'})
register('set_image', set_image, {'allow-oom'})
register('lookup', lookup, {'allow-oom'})
register('tail', tail, {'allow-oom'})
register('here', here, {'allow-oom'})
register('acknowledge', acknowledge, {'allow-oom'})
register('fields', fields, {'allow-oom'})
register('accept', accept, {'allow-oom'})
register('restored', restored, {'allow-oom'})
register('adopt', adopt, {'allow-oom'})
register('settle', settle, {'allow-oom'})
register('read', read, {'allow-oom'})
register('purge', purge, {'allow-oom'})
register('forget', forget, {'allow-oom'})
register('trim', trim, {'allow-oom'})
