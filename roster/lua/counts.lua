-- What a partition's entries count, in fields of `meta`, and the digests of its lists. A delta has
-- what a call adds: `counts` by field, and `digests` by list, to be combined by XOR.

local NAMES = {['n:'] = {}, ['t:'] = {}}  -- made once: numbers are dear to spell

-- Name a field of `meta` that is of a list and a state or an op.
local function field_name(kind, list_code, of)
  local names, at = NAMES[kind], list_code * 8 + of
  local name = names[at]
  if not name then
    name = kind .. list_code .. ':' .. of
    names[at] = name
  end
  return name
end

-- Make an empty delta.
local function new_delta() return {counts = {}, digests = {}} end

-- Add a number to a count.
local function add_count(counts, name, by) counts[name] = (counts[name] or 0) + by end

-- Combine a digest with that of a list.
local function add_digest(delta, list_code, digest)
  delta.digests[list_code] = xor(delta.digests[list_code] or NO_DIGEST, digest)
end

-- Count a record's entries, times `sign`: once before a change, once after; true where one is live.
local function count_record(delta, entries, sign)
  local counts, lists, restricted = delta.counts, {}, false
  for i = 1, #entries do
    local e = entries[i]
    local state = state_of(e)
    if state ~= UNKNOWN then add_count(counts, field_name('n:', e.list, state), sign) end
    if e.L > 0 then add_count(counts, 'ever', sign) end
    if is_live(state) then
      lists[e.list] = true
      restricted = restricted or e.list < RESTRICTING_BELOW
      add_digest(delta, e.list, e.digest)
    end
  end
  for code in pairs(lists) do add_count(counts, 'p:' .. code, sign) end
  if restricted then add_count(counts, 'people', sign) end
  return next(lists) ~= nil
end

-- Count the person of these entries again where `e` has become live (`by` 1) or no more (-1).
local function count_person(counts, entries, e, by)
  local on_list, restricted = false, e.list >= RESTRICTING_BELOW
  for i = 1, #entries do
    local other = entries[i]
    if other ~= e and is_live(state_of(other)) then
      on_list = on_list or other.list == e.list
      restricted = restricted or other.list < RESTRICTING_BELOW
    end
  end
  if not on_list then add_count(counts, 'p:' .. e.list, by) end
  if not restricted then add_count(counts, 'people', by) end
end

-- Count what the change of `e`, one of `entries`, amounts to; `before` is how it was.
local function count_change(delta, entries, e, before)
  local counts, was, now = delta.counts, before.state, state_of(e)
  if was ~= now then
    if was ~= UNKNOWN then add_count(counts, field_name('n:', e.list, was), -1) end
    if now ~= UNKNOWN then add_count(counts, field_name('n:', e.list, now), 1) end
  end
  if before.L == 0 and e.L > 0 then add_count(counts, 'ever', 1) end
  if is_live(was) then add_digest(delta, e.list, before.digest) end
  if is_live(now) then add_digest(delta, e.list, e.digest) end
  if is_live(was) ~= is_live(now) then
    count_person(counts, entries, e, is_live(now) and 1 or -1)
  end
end

-- Make the pairs that a call with these log entries, and lists changed at these times, sets.
local function state_pairs(p, is_logged, times, at_ms)
  local sets = is_logged and {'seq', p.seq, 'mark', p.mark} or {}
  for name in pairs(times) do sets[#sets + 1], sets[#sets + 2] = name, at_ms end
  return sets
end

-- Write what `delta` says, so many writes (an older version's load counts them) by a function that
-- keeps seals, and the pairs of `sets`.
local function write_counts(p, delta, writes, sets)
  local names, values = {}, {}
  for code, digest in pairs(delta.digests) do
    if digest ~= NO_DIGEST then
      names[#names + 1], values[#values + 1] = 'd:' .. code, digest
    end
  end
  local digests = #names
  add_count(delta.counts, 'writes', writes)
  add_count(delta.counts, 'seal_writes', writes)
  for name, by in pairs(delta.counts) do
    if by ~= 0 then names[#names + 1], values[#values + 1] = name, by end
  end
  local known = redis.call('HMGET', p.meta, spread(names))
  for i = 1, #names do
    sets[#sets + 1] = names[i]
    if i <= digests then
      sets[#sets + 1] = xor(known[i] or NO_DIGEST, values[i])
    else
      sets[#sets + 1] = tonumber(known[i] or 0) + values[i]
    end
  end
  redis.call('HSET', p.meta, spread(sets))
end

-- Count one more write by a function that keeps seals.
local function count_write(meta)
  redis.call('HINCRBY', meta, 'seal_writes', 1)
  redis.call('HINCRBY', meta, 'writes', 1)
end
