-- The merge law (in Python: tests/roster/law.py): what changes and rows make of entries.

local STATE_BY = {R = REMOVED, S = SUSPENDED, U = ACTIVE, A = ABSENT}
local RAISED_BY = {[OP_REMOVE] = 'R', [OP_SUSPEND] = 'S', [OP_RESUME] = 'U', [OP_ABSENT] = 'A'}

-- Tell the state that an entry's registers amount to: the first that holds.
local function state_of(e)
  if e.R > 0 and e.R >= e.L then return REMOVED end
  if e.L == 0 then return UNKNOWN end
  if e.A >= e.L then return ABSENT end
  if e.S > e.R and e.S >= e.U then return SUSPENDED end
  return ACTIVE
end

-- Tell whether entries in this state are live.
local function is_live(state) return state == ACTIVE or state == SUSPENDED end

-- Tell the newest of an entry's registers.
local function revision_of(e) return max(e.L, e.R, e.S, e.U, e.A) end

-- Raise `listed_at` with its content, unless that is old; true where the entry changed. An entry
-- that was not listed, or is absent, and is listed up to `floor_ms` is absent as of then: the file of
-- then lacked it, whether that was stored with the entry or not.
local function raise_listed(e, inc, listed_at, floor_ms)
  if listed_at < e.L then return false end
  if listed_at == e.L then
    if e.content == inc.content or not is_greater(inc.content, e.content) then return false end
  elseif e.A >= e.L and listed_at <= floor_ms then
    e.A = max(e.A, floor_ms)
  end
  e.L, e.digest, e.content = listed_at, inc.digest, inc.content
  if state_of(e) ~= REMOVED then e.prov = inc.prov end
  return true
end

-- Merge a `put`; returns the outcome. One without content puts back what is stored of an entry that
-- was removed: of one that never was listed nothing is, and what a file has ended stays so.
local function merge_put(e, inc, floor_ms)
  if inc.content == '' then
    inc.content, inc.digest = e.content, e.digest
    if e.L == 0 or is_live(state_of(e)) then return DUPLICATE end
    if state_of(e) == ABSENT then return SUPERSEDED end
  end
  if inc.revision == e.L and e.content == inc.content then return DUPLICATE end
  if not raise_listed(e, inc, inc.revision, floor_ms) then return SUPERSEDED end
  return is_live(state_of(e)) and APPLIED or SUPERSEDED
end

-- Merge an edit that raises another register; returns the outcome.
local function merge_edit(e, inc)
  local register = RAISED_BY[inc.op]
  if inc.revision <= e[register] then
    return inc.revision == e[register] and DUPLICATE or SUPERSEDED
  end
  e[register] = inc.revision
  if e.content == '' then e.content = inc.content end
  local is_effective = e.L == 0 or state_of(e) == STATE_BY[register]
  if is_effective then e.prov = inc.prov end
  return e.L == 0 and UNSEEN or is_effective and APPLIED or SUPERSEDED
end

-- Merge a file's row that states revisions; true where the entry changed.
local function merge_dated(e, inc, floor_ms)
  local was, changed = state_of(e), inc.L > 0 and raise_listed(e, inc, inc.L, floor_ms)
  for k = 2, 4 do
    local register = REGISTERS[k]
    if inc[register] > e[register] then
      e[register] = inc[register]
      changed = true
    end
  end
  if changed and e.content == '' then e.content = inc.content end
  if changed and state_of(e) ~= was then e.prov = inc.prov end
  return changed
end

-- Merge a file's row that states none: where it differs it counts as edited at the file's `as_of`,
-- and it never ends `removed` or `suspended`. Returns true where the entry changed.
local function merge_undated(e, inc, as_of, floor_ms)
  local was, changed = state_of(e), false
  if was == REMOVED then return false end
  if inc.R > 0 then
    if as_of > e.R then e.R, e.prov, changed = as_of, inc.prov, true end
    if e.content == '' then e.content = inc.content end
    return changed
  end
  if e.L == 0 or e.content ~= inc.content then
    changed = raise_listed(e, inc, as_of, floor_ms)
  end
  if inc.S > 0 and was ~= SUSPENDED and as_of > e.S then e.S, changed = as_of, true end
  return changed
end

-- Merge a file's row; a full file that has the entry ends its absence. True where it changed.
local function merge_row(e, inc, as_of, is_full, floor_ms)
  local changed
  if inc.norev then
    changed = merge_undated(e, inc, as_of, floor_ms)
  else
    changed = merge_dated(e, inc, floor_ms)
  end
  if is_full and e.A > 0 and e.A <= as_of and inc.L > 0 then
    e.A = 0
    changed = true
  end
  return changed
end

-- Make an entry absent that a full file as of `as_of` lacks; true where that changes it.
local function merge_missing(e, as_of)
  if e.L > as_of or (e.L == 0 and max(e.R, e.S, e.U) > as_of) then return false end
  if e.A > 0 and e.A >= e.L then return false end
  e.A = as_of
  return true
end

-- Tell whether files have lacked this tombstone for so long that it may be dropped.
local function is_expired(e, as_of, tombstone_ms)
  return e.A > 0 and not is_live(state_of(e))
    and as_of - max(e.A, e.R, e.S, e.U) >= tombstone_ms
end
