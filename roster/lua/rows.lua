-- The rows of a file, merged into the entries of one person.

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
