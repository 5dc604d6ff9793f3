-- What is dropped when it is old: histories and tombstones.

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

register('purge', purge, {'allow-oom'})

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

register('forget', forget, {'allow-oom'})
