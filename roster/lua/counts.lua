-- What a partition's entries count, in fields of `meta`, and the digests of its lists.

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
