-- The merge law (tests/roster/law.py says the same in Python): what an edit makes of an entry.

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
