-- Floors: how far back full files speak for a list, and tombstones that were dropped.

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
