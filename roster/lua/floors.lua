-- Floors: how far back full files, and tombstones that were dropped, speak for a list.

local FORGOTTEN_BITS = 1048576  -- of an entry seven are set

-- Read what a call needs once, by what names it.
local function cached(cache, name, read, ...)
  local value = cache[name]
  if value == nil then
    value = read(...)
    cache[name] = value
  end
  return value
end

-- Refuse a load where a newer one of its lists has begun; nil where none has.
local function refuse_other(p, lists, as_of, nonce)
  for i = 1, #lists do
    if redis.call('HGET', p.meta, 'b:' .. byte(lists, i)) ~= as_of .. ':' .. nonce then
      return redis.error_reply('OLDER another load of this list has begun')
    end
  end
end

-- Read what speaks for a whole list: the last full file, one that is being merged and how far it
-- has come, and the newest revision of the tombstones that `forget` dropped.
local function read_floor(meta, list_code)
  local m = redis.call('HMGET', meta, 'f:' .. list_code, 'b:' .. list_code, 'm:' .. list_code,
                       'g:' .. list_code)
  return {full = tonumber(m[1] or 0), begun = m[2] and tonumber(string.match(m[2], '^%d+')),
          merged_to = tonumber(m[3] or 0), forgotten = tonumber(m[4] or 0)}
end

-- Make BITFIELD's operations on the bits of an entry.
local function bit_operations(field, e, op, value)
  local hex, ops = redis.sha1hex(field .. char(e.list) .. e.hash), {}
  for i = 1, 35, 5 do
    ops[#ops + 1], ops[#ops + 2] = op, 'u1'
    ops[#ops + 1], ops[#ops + 2] = tonumber(sub(hex, i, i + 4), 16), value
  end
  return ops
end

-- Tell whether an entry's tombstone may have been dropped.
local function is_forgotten(forgotten, field, e)
  local bits = redis.call('BITFIELD_RO', forgotten, spread(bit_operations(field, e, 'GET')))
  for i = 1, #bits do
    if bits[i] == 0 then return false end
  end
  return true
end

-- Remember that an entry's tombstone is dropped. The bit behind all of them is always 0: with it
-- the string has its size at once, and grows no more.
local function mark_forgotten(forgotten, field, e)
  redis.call('BITFIELD', forgotten, 'SET', 'u1', FORGOTTEN_BITS, 0,
             spread(bit_operations(field, e, 'SET', 1)))
end

-- Find what an entry has to be newer than to be listed as of `listed_at`: the full file that speaks
-- for its place; and, where its own tombstone was dropped, all that were.
local function floor_of(floor, forgotten, place, e, listed_at)
  local floor_ms = floor.full
  if floor.begun and floor.merged_to > unpack('>I2', place) then
    floor_ms = max(floor_ms, floor.begun)
  end
  if e.L == 0 and floor.forgotten > floor_ms and listed_at <= floor.forgotten
    and is_forgotten(forgotten, sub(place, 3), e)
  then
    return floor.forgotten
  end
  return floor_ms
end
