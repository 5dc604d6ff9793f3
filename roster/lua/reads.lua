-- Reads: look-ups, the log, buckets.

local LOG_AT_ONCE = 256  -- entries that one XRANGE reads

-- lookup: records, and everything that says whether they may be believed.
--
--   KEYS     meta, log; then one bucket for each record
--   ARGV[2]  the process' high-water mark or '';  ARGV[3] at_least, 14 or ''
--   then one field for each record
--   returns  {position 14, covered, rewound, 1 where at_least is reached, now_ms, record...}
register('lookup', ALWAYS, {'log'}, function(p, args, keys)
  detect_rewind(p, args[2])
  local is_reached = not is_other_roster(p) and not is_behind(p, args[3])
  local reply = {position_of(p), p.check and p.covered or '', p.rewound and '1' or '0',
                 is_reached and 1 or 0, (now_ms())}
  for i = 3, #keys do reply[#reply + 1] = redis.call('HGET', keys[i], args[i + 1]) end
  return reply
end)

-- Put the log's entries after `seq` into the reply of `tail`: so many, of so many bytes. A gap
-- makes its status 1.
local function read_log(reply, p, seq, entries, bytes)
  while entries > 0 and bytes > 0 and seq < p.seq do
    local wanted = min(entries, LOG_AT_ONCE)
    local read = redis.call('XRANGE', p.log, log_id(p.history, seq + 1), '+', 'COUNT', wanted)
    if #read == 0 then reply[7] = 1 end
    for i = 1, #read do
      local number, entry = tonumber(string.match(read[i][1], '-(%d+)$')), read[i][2][2]
      if number ~= seq + 1 then reply[7] = 1 end
      if bytes <= 0 or reply[7] == 1 then return end
      reply[#reply + 1] = u48(number) .. entry
      seq, bytes = number, bytes - #entry
    end
    if #read < wanted then return end
    entries = entries - wanted
  end
end

-- tail: what a poll reads: the log after a position, and the partition's state.
--
--   ARGV[2]  the position applied so far, 14 or '';  ARGV[3] high-water mark
--   ARGV[4]  at most so many entries;  ARGV[5] of so many bytes (at least one, if there is one)
--   returns  {position 14, covered, rewound, ack, image header 24, now_ms, status, the
--            roster's id or '', what a rewound partition has lost: position 14 or '', entry...}
--            status 0: goes on; 1: another history, a gap or another mark, start again.
--            an entry is its seq in 6 bytes and its bytes
register('tail', ALWAYS, {'log'}, function(p, args)
  local applied = args[2]
  detect_rewind(p, args[3])
  local reply = {position_of(p), p.covered, p.rewound and '1' or '0', p.ack, p.image_header,
                 (now_ms()), 0, p.roster, p.loss and p.loss.position or ''}
  if applied == '' then return reply end
  local where, seq = locate(p, applied), from_u48(applied, 5)
  -- Just before the oldest entry kept: its mark is gone with it, and is sent as zeros.
  if where == 'trimmed' and sub(applied, 11, 14) == NO_MARK then where = 'on_log' end
  if where ~= 'on_log' then
    reply[7] = 1
  elseif seq < p.seq then
    read_log(reply, p, seq, tonumber(args[4]), tonumber(args[5]))
  end
  return reply
end)

-- here: which positions the log goes through, whatever a fail-over may have put in their place.
--
--   ARGV[2..] positions, 14 each
--   returns  '1' or '0' for each of them, joined
register('here', ALWAYS, {'log'}, function(p, args)
  local flags = ''
  for i = 2, #args do flags = flags .. (locate(p, args[i]) == 'on_log' and '1' or '0') end
  return flags
end)

-- Tell whether a record's person belongs in the filter; raises an error where nobody can.
local function is_on_list(record)
  local n = unpack('>I2', record)
  local at, registers = 3, 3 + HEADER_BYTES * n
  for _ = 1, n do
    local present = byte(record, at + 1)
    if present == 1 then return true end
    local e = {L = 0, R = 0, S = 0, U = 0, A = 0}
    for k = 1, 5 do
      if present % 2 == 1 then
        e[REGISTERS[k]] = from_u48(record, registers)
        registers = registers + REGISTER_BYTES
      end
      present = trunc(present / 2)
    end
    if is_live(state_of(e)) then return true end
    at = at + HEADER_BYTES
  end
  return false
end

-- fields: the fields of everybody who belongs in the filter, joined.
--
--   KEYS     buckets of one partition
--   returns  one string of 12 bytes a person
register('fields', ALWAYS, nil, function(keys)
  local found = {}
  for k = 1, #keys do
    local held = redis.call('HGETALL', keys[k])
    for i = 1, #held, 2 do
      local is_whole, belongs = pcall(is_on_list, held[i + 1])
      -- Whoever's record cannot be read has to be asked about.
      if belongs or not is_whole then found[#found + 1] = held[i] end
    end
  end
  return table.concat(found)
end)

-- read: all records of some buckets of one partition.
--
--   KEYS     buckets
--   returns  for each bucket that is not empty: its place among KEYS, {field, record, ...}
register('read', ALWAYS, nil, function(keys)
  local reply = {}
  for k = 1, #keys do
    local held = redis.call('HGETALL', keys[k])
    if #held > 0 then reply[#reply + 1], reply[#reply + 2] = k, held end
  end
  return reply
end)
