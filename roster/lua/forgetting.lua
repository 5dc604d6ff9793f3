-- Tombstones that are dropped when they are old, of lists that come by changes alone.

-- Tell whether no full file of the list as of `quiet_ms` or later, nor any file, has come since,
-- and none is being merged.
local function comes_alone(meta, code, quiet_ms)
  local floor = read_floor(meta, code)
  local m = redis.call('HMGET', meta, 'm:' .. code, 'w:' .. code)
  return not m[1] and max(floor.full, floor.begun or 0, tonumber(m[2] or 0)) < quiet_ms
end

-- Tell whether a record has entries of these lists that are more than plainly listed.
local function has_edited(record, lists)
  local n = unpack('>I2', record)
  for at = 3, 2 + HEADER_BYTES * n, HEADER_BYTES do
    local list_code, present = byte(record, at, at + 1)
    if lists[list_code] and present ~= 1 then return true end
  end
  return false
end

-- Tell whether this is a tombstone, last edited and applied before `cutoff_ms`.
local function is_outlived(e, cutoff_ms)
  if is_live(state_of(e)) or revision_of(e) >= cutoff_ms then return false end
  return sub(e.prov, 1, 1) ~= 'P' or #e.prov < 7 or from_u48(e.prov, 2) < cutoff_ms
end

-- Divide a record into the tombstones that it has outlived, and its other entries; raises an error
-- where it cannot be read.
local function divide(record, lists, cutoff_ms)
  local gone, left = {}, {}
  if not has_edited(record, lists) then return gone, left end
  local entries = parse_record(record)
  for i = 1, #entries do
    local e = entries[i]
    local into = lists[e.list] and is_outlived(e, cutoff_ms) and gone or left
    into[#into + 1] = e
  end
  return gone, left
end

-- Drop entries of a record; `newest` keeps the newest revision of each list's, and that of an edit
-- by itself: a file may be as of when an earlier one ended an entry, and later.
local function drop(job, bucket, field, gone, left)
  local newest, counts = job.newest, job.delta.counts
  for i = 1, #gone do
    local e, state = gone[i], state_of(gone[i])
    mark_forgotten(job.p.forgotten, field, e)
    local any, edit = 'g:' .. e.list, 'ge:' .. e.list
    newest[any] = max(newest[any] or 0, revision_of(e))
    newest[edit] = max(newest[edit] or 0, e.R, e.S, e.U)
    if state ~= UNKNOWN then add_count(counts, field_name('n:', e.list, state), -1) end
  end
  if #left > 0 then
    redis.call('HSET', bucket, field, pack_record(left))
  else
    redis.call('HDEL', bucket, field)
  end
end

-- Drop what a bucket has outlived; returns how many people's records were changed.
local function drop_outlived(job, bucket)
  local changed, held = 0, redis.call('HGETALL', bucket)
  for i = 1, #held, 2 do
    local is_whole, gone, left = pcall(divide, held[i + 1], job.lists, job.cutoff_ms)
    if is_whole and #gone > 0 then  -- what cannot be read stays
      changed = changed + 1
      drop(job, bucket, held[i], gone, left)
    end
  end
  return changed
end

-- forget: drop old tombstones of lists that come by changes alone. Nothing brings them back:
-- from then on a `put` of one of them is superseded at or below the newest that was dropped.
--
--   KEYS     meta, forgotten (bits by which they are known), seals; then buckets
--   ARGV[2]  lists
--   ARGV[3]  drop what was last edited and applied before
--   ARGV[4]  a list with a full file as of then, or loaded then, or later does not come by
--            changes alone
--   returns  how many people's records were changed; 0 while it is rewound
register('forget', ALWAYS, {'forgotten', 'seals'}, function(p, args, keys)
  if p.rewound then return 0 end
  local job = {p = p, lists = {}, cutoff_ms = tonumber(args[3]), newest = {}, delta = new_delta()}
  for code in pairs(code_set(args[2])) do
    job.lists[code] = comes_alone(p.meta, code, tonumber(args[4])) or nil
  end
  local changed, sets = 0, {}
  if not next(job.lists) then return 0 end
  for k = 4, #keys do changed = changed + drop_outlived(job, keys[k]) end
  if changed == 0 then return 0 end
  for name, at in pairs(job.newest) do
    local known = tonumber(redis.call('HGET', p.meta, name) or 0)
    sets[#sets + 1], sets[#sets + 2] = name, max(known, at)
  end
  for code in pairs(job.lists) do write_seals(p, code, 0, string.rep(NO_SEAL, BUCKETS)) end
  write_counts(p, job.delta, 1, sets)
  return changed
end)
