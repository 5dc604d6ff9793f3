-- Reads: look-ups, the log, buckets.

-- lookup: records, and everything that says whether they may be believed.
--
--   KEYS[1]  meta;  KEYS[2] log;  then one bucket for each record
--   ARGV[1]  stamp;  ARGV[2] the process' high-water mark or ''
--   ARGV[3]  at_least, 14 or '';  then one field for each record
--   returns  {position 14, covered, rewound, 1 where at_least is reached, now_ms, record...}
local function lookup(keys, args)
  local meta, log = keys[1], keys[2]
  local p, wrong = open(meta, args[1])
  if wrong then return wrong end
  note_rewound(meta, log, p, args[2])
  local known = (is_foreign(p) or behind(log, p, args[3])) and 0 or 1
  local out = {position(p), p.covered, p.rewound, known, (now_ms())}
  if not p.check then out[2] = '' end
  for i = 3, #keys do
    out[#out + 1] = redis.call('HGET', keys[i], args[i + 1])
  end
  return out
end

register('lookup', lookup, {'allow-oom'})

-- Put the log's entries after `seq` into the reply of `tail`: so many, of so many bytes.
local function read_log(out, log, p, seq, entries, bytes)
  while entries > 0 and bytes > 0 and seq < p.seq do
    local wanted = min(entries, LOG_AT_ONCE)
    local got = redis.call('XRANGE', log, id(p, seq + 1), '+', 'COUNT', wanted)
    if #got == 0 then out[7] = 1 end
    for i = 1, #got do
      local number, entry = tonumber(string.match(got[i][1], '-(%d+)$')), got[i][2][2]
      if number ~= seq + 1 then out[7] = 1 end
      if bytes <= 0 or out[7] == 1 then return end
      out[#out + 1] = u48(number) .. entry
      seq, bytes = number, bytes - #entry
    end
    if #got < wanted then return end
    entries = entries - wanted
  end
end

-- tail: what a poll reads: the log after a position, and the partition's state.
--
--   KEYS[1]  meta;  KEYS[2] log
--   ARGV[1]  check;  ARGV[2] the position applied so far, 14 or '';  ARGV[3] high-water mark
--   ARGV[4]  at most so many entries;  ARGV[5] of so many bytes (at least one, if there is one)
--   returns  {position 14, covered, rewound, ack, image header 24, now_ms, status, the
--            roster's id or '', what a rewound partition has lost: position 14 or '', entry...}
--            status 0: goes on; 1: another history, a gap or another mark, start again.
--            an entry is its seq in 6 bytes and its bytes
local function tail(keys, args)
  local meta, log = keys[1], keys[2]
  local p, wrong = open(meta, args[1])
  if wrong then return wrong end
  note_rewound(meta, log, p, args[3])
  local out = {position(p), p.covered, p.rewound, p.ack, p.image, (now_ms()), 0, p.roster,
               p.lost}
  if args[2] == '' then return out end
  local where = reached(log, p, args[2])
  local seq = from_u48(args[2], 5)
  -- Just before the oldest entry kept: its mark is gone with it, and is sent as zeros.
  if where == 'trimmed' and sub(args[2], 11, 14) == NO_MARK then where = 'here' end
  if where ~= 'here' then
    out[7] = 1
    return out
  end
  if seq == p.seq then return out end
  read_log(out, log, p, seq, tonumber(args[4]), tonumber(args[5]))
  return out
end

register('tail', tail, {'allow-oom'})

-- here: which positions the log goes through, whatever a fail-over may have put in their place.
--
--   KEYS[1]  meta;  KEYS[2] log
--   ARGV[1]  check;  ARGV[2..] positions, 14 each
--   returns  '1' or '0' for each of them, joined
local function here(keys, args)
  local p, wrong = open(keys[1], args[1])
  if wrong then return wrong end
  local out = ''
  for i = 2, #args do
    out = out .. (reached(keys[2], p, args[i]) == 'here' and '1' or '0')
  end
  return out
end

register('here', here, {'allow-oom'})

-- Whether a record's person belongs in the filter.
local function belongs(record)
  local n = unpack('>I2', record)
  local at, registers = 3, 3 + HEADER * n
  for _ = 1, n do
    local present = byte(record, at + 1)
    if present == 1 then return true end
    local e = {L = 0, R = 0, S = 0, U = 0, A = 0}
    for r = 1, 5 do
      if present % 2 == 1 then
        e[REGISTERS[r]] = from_u48(record, registers)
        registers = registers + 6
      end
      present = floor(present / 2)
    end
    if live(state(e)) then return true end
    at = at + HEADER
  end
  return false
end

-- fields: the fields of everybody who belongs in the filter, joined.
--
--   KEYS     buckets of one partition
--   returns  one string of 12 bytes a person
local function fields(keys)
  local out = {}
  for k = 1, #keys do
    local stored = redis.call('HGETALL', keys[k])
    for i = 1, #stored, 2 do
      local whole, is_live = pcall(belongs, stored[i + 1])
      -- Whoever's record cannot be read has to be asked about.
      if is_live or not whole then out[#out + 1] = stored[i] end
    end
  end
  return table.concat(out)
end

register('fields', fields, {'allow-oom'})

-- read: all records of some buckets of one partition.
--
--   KEYS     buckets
--   returns  for each bucket that is not empty: its place among KEYS, {field, record, ...}
local function read(keys)
  local out = {}
  for k = 1, #keys do
    local stored = redis.call('HGETALL', keys[k])
    if #stored > 0 then
      out[#out + 1] = k
      out[#out + 1] = stored
    end
  end
  return out
end

register('read', read, {'allow-oom'})
