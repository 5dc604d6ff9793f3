-- Numbers, digests and sets of lists as bytes.

-- Pack a number into six bytes.
local function u48(n)
  local high = trunc(n / 4294967296)
  return pack('>I2I4', high, n - high * 4294967296)
end

-- Read the number that six bytes from `at` on hold.
local function from_u48(s, at)
  local high, low = unpack('>I2I4', s, at)
  return high * 4294967296 + low
end

-- Tell whether the bytes of `a` come after those of `b`; what `b` begins with comes before it.
local function is_greater(a, b)
  for i = 1, min(#a, #b) do
    local x, y = byte(a, i), byte(b, i)
    if x ~= y then return x > y end
  end
  return #a > #b
end

-- Combine two digests of eight bytes.
local function xor(a, b)
  local a1, a2 = unpack('>I4I4', a)
  local b1, b2 = unpack('>I4I4', b)
  return pack('>I4I4', bxor(a1, b1) % 4294967296, bxor(a2, b2) % 4294967296)
end

-- Append to the lists of `a` those of `b` that it lacks.
local function union(a, b)
  for i = 1, #b do
    if not string.find(a, sub(b, i, i), 1, true) then a = a .. sub(b, i, i) end
  end
  return a
end

-- Make a table of these lists, with true for the code of each.
local function code_set(lists)
  local set = {}
  for i = 1, #lists do set[byte(lists, i)] = true end
  return set
end
