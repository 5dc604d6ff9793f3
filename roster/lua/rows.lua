-- The rows of a file, merged into the entries of one person.

-- Count entries of a list of which the file made that.
local function count_fate(job, list_code, fate, by)
  local fates = job.fates[list_code]
  if not fates then
    fates = {0, 0, 0, 0, 0}
    job.fates[list_code] = fates
  end
  fates[fate] = fates[fate] + by
end

-- Log one merged entry and add it to the person's history, unless its list's first load ends with
-- a reset, which tells it.
local function log_entry(job, e, was, place)
  if job.dry or not (job.is_partial or job.covered[e.list]) then return end
  local event, field = pack_state(e, was, place, job.at_ms), sub(place, 3)
  append_log(job.p, event)
  job.times[field_name('t:', e.list, op_to(state_of(e)))] = true
  local events = read_events(job.history, field)
  redis.call('HSET', job.history, field, append_event(events, event, job.at_ms, job.keep_ms))
end

-- Log an entry that a partial file states and that was there: a first load that was killed may have
-- stored it and told nobody. Of a list that is covered everybody knows it.
local function log_again(job, e, place)
  local state = state_of(e)
  if job.dry or not job.is_partial or job.covered[e.list] or not is_live(state) then return end
  append_log(job.p, pack_state(e, state, place, job.at_ms))
end

-- Note how an entry was that a load changes, and how it leaves it: what `undo` goes by. What a
-- list's first load adds is known by its provenance. The notes are an event each.
local function note_undo(job, e, before, place)
  local was = state_of(before)
  if job.dry or not (is_live(was) or is_live(state_of(e))) then return end
  if was == UNKNOWN and not (job.is_partial or job.covered[e.list]) then return end
  local left = copy_entry(e)
  left.content, left.prov = '', ''
  local event = pack_state(e, was, place, job.at_ms, '', pack_record({before, left}))
  job.undo[#job.undo + 1] = pack('>I2', #event) .. event
end

-- Write a bucket's notes: they lie with its people's histories, and are dropped when as old.
local function write_undo(job)
  if #job.undo == 0 then return end
  local field = 'undo:' .. job.nonce
  redis.call('HSET', job.history, field, read_events(job.history, field) .. table.concat(job.undo))
  job.undo = {}
end

-- Tell whether an entry is as a row says; a row without a state leaves a suspension alone.
local function is_as_row(e, inc)
  local state = state_of(e)
  if inc.R > 0 then return not is_live(state) end
  if not is_live(state) or e.content ~= inc.content then return false end
  if inc.S > 0 then return state == SUSPENDED end
  return inc.U == 0 or state == ACTIVE
end

-- Tell whether what an entry has that a row does not change is newer than the row.
local function is_newer(e, inc)
  return (state_of(e) == REMOVED and inc.R == 0)
    or (inc.L < e.L and not inc.norev and inc.content ~= e.content)
end

-- Tell whether the same row, merged into its entry once more as of any later time, changes nothing,
-- and counts as unchanged.
local function is_at_rest(e, inc)
  return is_as_row(e, inc) and not is_newer(e, inc)
    and (e.A == 0 or (inc.L == 0 and state_of(e) == REMOVED))
end

-- Show an entry about which file and roster disagree.
local function show(job, fate, e, place)
  if not job.shown then return end
  job.shown[#job.shown + 1] = char(fate, e.list) .. sub(place, 1, 2) .. pack('>I2', #e.content)
    .. e.content
end

-- Tell whether an entry counts as present though the file lacks it.
local function is_kept(job, e, place)
  local name = char(e.list) .. e.hash
  return job.kept[place .. name] or job.kept[NO_PLACE .. name]
end

-- Tell what became of an entry that changed.
local function fate_of(was, now)
  if (was == REMOVED and now == REMOVED) or (was == UNKNOWN and now == ABSENT) then
    return ROW_SUPERSEDED
  end
  if was == UNKNOWN or (is_live(now) and not is_live(was)) then return ROW_ADDED end
  return is_live(was) and not is_live(now) and ROW_ENDED or ROW_CHANGED
end

-- Find the floor for a row; a full file's own list has none.
local function row_floor(job, e, inc, place)
  if job.is_full[e.list] then return 0 end
  local floor = cached(job.floors, e.list, read_floor, job.p.meta, e.list)
  return floor_of(floor, job.p.forgotten, place, e, inc.norev and job.as_of or inc.L)
end

-- Merge one row into its entry; true where that changed.
local function apply_row(job, e, inc, place)
  local was, before, is_equal = state_of(e), copy_entry(e), is_as_row(e, inc)
  local floor_ms = row_floor(job, e, inc, place)
  if not merge_row(e, inc, job.as_of, job.is_full[e.list], floor_ms) then
    count_fate(job, e.list, is_newer(e, inc) and ROW_SUPERSEDED or ROW_UNCHANGED, 1)
    if not is_equal then show(job, ROW_SUPERSEDED, e, place) end
    log_again(job, e, place)
    return false
  end
  local now = state_of(e)
  local fate = fate_of(was, now)
  count_fate(job, e.list, fate, 1)
  if not is_equal then show(job, fate, e, place) end
  if was ~= REMOVED or now ~= REMOVED then log_entry(job, e, was, place) end
  note_undo(job, e, before, place)
  job.unsealed[e.list] = true
  return true
end

-- Merge rows into the entries of a record; returns whether one changed, and a set of those that the
-- rows are about.
local function merge_rows(job, entries, rows, norev, place)
  local changed, seen = false, {}
  for i = 1, #rows do
    local inc = rows[i]
    inc.norev = inc.norev or norev
    local e = entry_of(entries, inc.list, inc.hash)
    seen[e] = true
    if apply_row(job, e, inc, place) then changed = true end
    if not is_at_rest(e, inc) then job.oldest = 0 end
  end
  return changed, seen
end

-- End an entry that the snapshot lacks; true where that changed it.
local function end_missing(job, e, place)
  local was, before = state_of(e), is_live(state_of(e)) and copy_entry(e)
  if not merge_missing(e, job.as_of) then
    if before then show(job, ROW_SUPERSEDED, e, place) end
    return false
  end
  if before then
    if job.ended_by ~= '' then e.prov = job.ended_by end
    count_fate(job, e.list, ROW_ENDED, 1)
    show(job, ROW_ENDED, e, place)
    log_entry(job, e, was, place)
    note_undo(job, e, before, place)
  end
  return true
end

-- End what the snapshot lacks, and drop old tombstones; returns the entries that are left, and
-- whether something changed. `job.oldest` becomes the time of the oldest tombstone.
local function end_others(job, entries, seen, place)
  local left, changed = {}, false
  for i = 1, #entries do
    local e = entries[i]
    local is_unseen = job.is_full[e.list] and not seen[e]
    local is_missing = is_unseen and not is_kept(job, e, place)
    if is_missing and end_missing(job, e, place) then changed = true end
    if is_missing and is_expired(e, job.as_of, job.tombstone_ms) then
      changed = true
      if e.L > 0 then add_count(job.delta.counts, 'ever', 1) end  -- once listed, ever listed
    else
      left[#left + 1] = e
      if is_unseen then
        local has_ended = is_missing and e.A > 0 and e.A >= e.L
        job.oldest = min(job.oldest, has_ended and max(e.A, e.R, e.S, e.U) or 0)
      end
    end
  end
  return left, changed
end

-- Tell whether a file's rows say that somebody is on a list.
local function rows_live(rows)
  for i = 1, #rows do
    if is_live(state_of(rows[i])) then return true end
  end
  return false
end

-- Note that a person is on a list, or is not, other than the rows say.
local function except(job, place, is_on_list)
  job.exceptions[#job.exceptions + 1] = sub(place, 3) .. (is_on_list and '\1' or '\0')
end

-- Leave a record that cannot be read as it is, and whom it is about in the filter.
local function pass_over(job, rows, place)
  if not rows_live(rows) then except(job, place, true) end
  for i = 1, #rows do
    count_fate(job, rows[i].list, ROW_SUPERSEDED, 1)
    show(job, ROW_SUPERSEDED, rows[i], place)
  end
  job.oldest = 0
end

-- Merge one record's rows (none: the file has nothing of this person) into its entries. Returns the
-- record where it changed, '' where nothing is left of it.
local function merge_record(job, old, rows, norev, place)
  local entries = try_parse(old)
  if not entries then return pass_over(job, rows, place) end
  local is_expected = rows_live(rows)
  count_record(job.delta, entries, -1)
  local changed, seen = merge_rows(job, entries, rows, norev, place)
  local left, ended = end_others(job, entries, seen, place)
  if count_record(job.delta, left, 1) ~= is_expected then except(job, place, not is_expected) end
  if not changed and not ended then return nil end
  return #left > 0 and pack_record(left) or ''
end
