-- Records: the entries of one person, as bytes and as tables.
--
-- A record is `u16 n`, n headers of 19 bytes (list u8, registers present u8, entry hash 6,
-- digest 8, content size u16, provenance size u8), registers of 6 bytes, contents,
-- provenances: roster/records/record.py.

local HEADER_BYTES, REGISTER_BYTES, WITHOUT_REVISION = 19, 6, 32
local REGISTERS = {'L', 'R', 'S', 'U', 'A'}  -- listed, removed, suspended, resumed, absent at
local NO_DIGEST = '\0\0\0\0\0\0\0\0'

-- Make an entry that nothing is known of.
local function new_entry(list_code, hash)
  return {list = list_code, hash = hash, digest = NO_DIGEST, content = '', prov = '',
          L = 0, R = 0, S = 0, U = 0, A = 0}
end

-- Copy an entry.
local function copy_entry(e)
  return {list = e.list, hash = e.hash, digest = e.digest, content = e.content, prov = e.prov,
          L = e.L, R = e.R, S = e.S, U = e.U, A = e.A}
end

-- Read a record's entries (nil, false: none); raises an error where the bytes are no record.
local function parse_record(record)
  local entries = {}
  if not record then return entries end
  local n = unpack('>I2', record)
  local at = 3
  for i = 1, n do
    local list_code, present = byte(record, at, at + 1)
    local content_size, prov_size = unpack('>I2B', record, at + 16)
    entries[i] = {list = list_code, hash = sub(record, at + 2, at + 7),
                  digest = sub(record, at + 8, at + 15), present = present % WITHOUT_REVISION,
                  norev = present >= WITHOUT_REVISION, content = content_size, prov = prov_size,
                  L = 0, R = 0, S = 0, U = 0, A = 0}
    at = at + HEADER_BYTES
  end
  for i = 1, n do
    local e, present = entries[i], entries[i].present
    for k = 1, 5 do
      if present % 2 == 1 then
        e[REGISTERS[k]] = from_u48(record, at)
        at = at + REGISTER_BYTES
      end
      present = trunc(present / 2)
    end
  end
  for _, part in ipairs({'content', 'prov'}) do
    for i = 1, n do
      local ends = at + entries[i][part]
      entries[i][part] = sub(record, at, ends - 1)
      at = ends
    end
  end
  if at ~= #record + 1 then error('UNREADABLE the record ends elsewhere') end
  return entries
end

-- Read a record's entries; false where it is damaged, or of a version that is not out yet.
local function try_parse(record)
  local is_whole, entries = pcall(parse_record, record)
  return is_whole and entries
end

-- Pack an entry's header, and its registers.
local function pack_header(e)
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

-- Pack entries, which are in order, into a record.
local function pack_record(entries)
  local n = #entries
  if n == 1 then  -- as most are
    local e = entries[1]
    local header, registers = pack_header(e)
    return '\0\1' .. header .. registers .. e.content .. e.prov
  end
  local parts = {pack('>I2', n)}
  for i = 1, n do
    local e = entries[i]
    parts[1 + i], parts[1 + n + i] = pack_header(e)
    parts[1 + 2 * n + i], parts[1 + 3 * n + i] = e.content, e.prov
  end
  return table.concat(parts)
end

-- Take an entry out of its record where nothing is known of it.
local function drop_unknown(entries, e)
  if e.L + e.R + e.S + e.U + e.A > 0 then return end
  for i = 1, #entries do
    if entries[i] == e then return table.remove(entries, i) end
  end
end

-- Find the entry of this list and entry hash; insert a new one in its place where it is not there.
local function entry_of(entries, list_code, hash)
  local at = #entries + 1
  for i = 1, #entries do
    local other = entries[i]
    if other.list == list_code and other.hash == hash then return other end
    if other.list > list_code
      or (other.list == list_code and from_u48(other.hash, 1) > from_u48(hash, 1))
    then
      at = i
      break
    end
  end
  local e = new_entry(list_code, hash)
  table.insert(entries, at, e)
  return e
end
