-- Records: one person's entries, as bytes and as tables.
--
-- A record is `u16 n`, n headers of 19 bytes (list u8, registers present u8, entry hash 6,
-- digest 8, content size u16, provenance size u8), registers of 6 bytes, contents,
-- provenances: roster/records/record.py.

local REGISTERS = {'L', 'R', 'S', 'U', 'A'}

local function blank(list, hash)
  return {list = list, hash = hash, digest = NO_DIGEST, content = '', prov = '',
          L = 0, R = 0, S = 0, U = 0, A = 0}
end

local function parse(record)
  local entries = {}
  if not record then return entries end
  local n = unpack('>I2', record)
  local at = 3
  for i = 1, n do
    local list, present = byte(record, at, at + 1)
    local content_size, prov_size = unpack('>I2B', record, at + 16)
    entries[i] = {list = list, hash = sub(record, at + 2, at + 7),
                  digest = sub(record, at + 8, at + 15), present = present % 32,
                  norev = present >= 32, content = content_size, prov = prov_size,
                  L = 0, R = 0, S = 0, U = 0, A = 0}
    at = at + HEADER
  end
  for i = 1, n do
    local e, present = entries[i], entries[i].present
    for k = 1, 5 do
      if present % 2 == 1 then
        e[REGISTERS[k]] = from_u48(record, at)
        at = at + 6
      end
      present = floor(present / 2)
    end
  end
  for _, name in ipairs({'content', 'prov'}) do
    for i = 1, n do
      local ends = at + entries[i][name]
      entries[i][name] = sub(record, at, ends - 1)
      at = ends
    end
  end
  if at ~= #record + 1 then error('UNREADABLE the record ends elsewhere') end
  return entries
end

-- The same, or false for what is no record: damaged, or of a version that is not out yet.
local function parsed(record)
  local whole, entries = pcall(parse, record)
  return whole and entries
end

-- An entry's header and its registers.
local function headed(e)
  local present, weight, registers = 0, 1, ''
  for k = 1, 5 do
    local value = e[REGISTERS[k]]
    if value > 0 then
      present = present + weight
      registers = registers .. u48(value)
    end
    weight = weight * 2
  end
  return char(e.list, present) .. e.hash .. e.digest .. pack('>I2B', #e.content, #e.prov), registers
end

local function serialize(entries)
  local n = #entries
  if n == 1 then  -- as most are
    local e = entries[1]
    local header, registers = headed(e)
    return '\0\1' .. header .. registers .. e.content .. e.prov
  end
  local out = {pack('>I2', n)}
  for i = 1, n do
    local e = entries[i]
    out[1 + i], out[1 + n + i] = headed(e)
    out[1 + 2 * n + i], out[1 + 3 * n + i] = e.content, e.prov
  end
  return table.concat(out)
end

local function find(entries, list_code, hash)
  for i = 1, #entries do
    if entries[i].list == list_code and entries[i].hash == hash then return entries[i] end
  end
end

local function insert(entries, e)
  local at, key = #entries + 1, from_u48(e.hash, 1)
  for i = 1, #entries do
    local other = entries[i]
    if other.list > e.list or (other.list == e.list and from_u48(other.hash, 1) > key) then
      at = i
      break
    end
  end
  table.insert(entries, at, e)
end
