-- Numbers, sets and digests as bytes.

local function u48(n)
  local high = floor(n / 4294967296)
  return pack('>I2I4', high, n - high * 4294967296)
end

local function from_u48(s, at)
  local high, low = unpack('>I2I4', s, at)
  return high * 4294967296 + low
end

local function greater(a, b)
  local shorter = min(#a, #b)
  for i = 1, shorter do
    local x, y = byte(a, i), byte(b, i)
    if x ~= y then return x > y end
  end
  return #a > #b
end

local function xor(a, b)
  local a1, a2 = unpack('>I4I4', a)
  local b1, b2 = unpack('>I4I4', b)
  return pack('>I4I4', bxor(a1, b1) % 4294967296, bxor(a2, b2) % 4294967296)
end

local function union(a, b)
  for i = 1, #b do
    if not string.find(a, sub(b, i, i), 1, true) then a = a .. sub(b, i, i) end
  end
  return a
end

local function codes(text)
  local set = {}
  for i = 1, #text do set[byte(text, i)] = true end
  return set
end
