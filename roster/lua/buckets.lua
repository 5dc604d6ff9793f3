-- The rows of a file, merged into one bucket. Rows come as records: field 12, kind u8, size u32,
-- record; the kind says what a record's rows have in common.

local PLAIN_WITHOUT_REVISION, PLAIN, MIXED = 255, 254, 0  -- plain: all are listed, no more

-- Read the record of rows at `at`: field, kind, record, and where the next one is.
local function read_rows(rows, at)
  local kind, size = unpack('>BI4', rows, at + 12)
  return sub(rows, at, at + 11), kind, sub(rows, at + 17, at + 16 + size), at + 17 + size
end

-- Tell whether a stored record says what a record of rows says, by one comparison of bytes; and how
-- many entries that has.
local function says_same(old, record, kind)
  local n = unpack('>I2', record)
  local size = 2 + HEADER_BYTES * n
  if kind == PLAIN then
    size = size + REGISTER_BYTES * n
  elseif kind == MIXED then
    for i = 1, n do
      local present = byte(record, 4 + HEADER_BYTES * (i - 1))
      if present >= WITHOUT_REVISION then return false end
      while present > 0 do
        if present % 2 == 1 then size = size + REGISTER_BYTES end
        present = trunc(present / 2)
      end
    end
  end
  return sub(old, 1, size) == sub(record, 1, size), n
end

-- Count what the loader has counted of new buckets: JSON of `added` by list, `counts` by field, and
-- `digests` by list in hexadecimal.
local function count_tally(job, tally)
  local known = cjson.decode(tally)
  for code, by in pairs(known.added) do count_fate(job, tonumber(code), ROW_ADDED, by) end
  for name, by in pairs(known.counts) do add_count(job.delta.counts, name, by) end
  for code, hex in pairs(known.digests) do
    local high, low = tonumber(sub(hex, 1, 8), 16), tonumber(sub(hex, 9, 16), 16)
    add_digest(job.delta, tonumber(code), pack('>I4I4', high, low))
  end
end

-- Make the records of a bucket that Redis does not hold yet: the rows are its records. Returns
-- pairs of field and record.
local function new_records(job, tally, rows)
  local writes, at = {}, 1
  while at <= #rows do
    local field, kind, record, next_at = read_rows(rows, at)
    writes[#writes + 1] = field
    writes[#writes + 1] = kind == MIXED and pack_record(parse_record(record)) or record
    job.written, job.bytes, at = job.written + 1, job.bytes + #record, next_at
  end
  count_tally(job, tally)
  return writes
end

-- Make a table of a bucket's records by field.
local function by_field(held)
  local olds = {}
  for i = 1, #held, 2 do olds[held[i]] = held[i + 1] end
  return olds
end

-- Read the records of the people whom the rows name, by field.
local function read_named(bucket, rows)
  local fields, olds, at = {}, {}, 1
  while at <= #rows do
    fields[#fields + 1], at = sub(rows, at, at + 11), at + 17 + unpack('>I4', rows, at + 13)
  end
  for i = 1, #fields, AT_ONCE do
    local last = min(i + AT_ONCE - 1, #fields)
    local held = redis.call('HMGET', bucket, spread(fields, i, last))
    for k = i, last do olds[fields[k]] = held[k - i + 1] or nil end
  end
  return olds
end

-- Put a record that changed among the `writes` (pairs of field and record) or, where nothing is
-- left of it, the fields that are `gone`; and among the diffs that somebody collects.
local function keep_record(job, place, record, old, writes, gone)
  local field = sub(place, 3)
  if job.diffs then
    old = old or ''
    job.diffs[#job.diffs + 1] = place .. pack('>I4I4', #old, #record) .. old .. record
  end
  if record == '' then
    gone[#gone + 1] = field
  else
    writes[#writes + 1] = field
    writes[#writes + 1] = record
  end
  job.written, job.bytes = job.written + 1, job.bytes + #record
end

-- Pass over a record that says what the rows say.
local function keep_same(job, old, n, place)
  for at = 3, 2 + HEADER_BYTES * n, HEADER_BYTES do
    count_fate(job, byte(old, at), ROW_UNCHANGED, 1)
  end
  if not job.is_partial or job.dry then return end
  for _, e in ipairs(parse_record(old)) do log_again(job, e, place) end
end

-- Merge rows into the records `olds` of a bucket that Redis holds; returns the pairs to be written,
-- and the fields that are gone.
local function merge_records(job, number, olds, rows)
  local writes, gone, at, prefix = {}, {}, 1, pack('>I2', number)
  while at <= #rows do
    local field, kind, record, next_at = read_rows(rows, at)
    local old, place, is_same, n = olds[field], prefix .. field, false, 0
    at, olds[field] = next_at, nil
    if old then is_same, n = says_same(old, record, kind) end
    if is_same then
      keep_same(job, old, n, place)
    else
      local norev = kind == PLAIN_WITHOUT_REVISION
      local merged = merge_record(job, old, parse_record(record), norev, place)
      if merged then keep_record(job, place, merged, old, writes, gone) end
    end
  end
  if job.is_partial then return writes, gone end
  for field, old in pairs(olds) do
    local merged = merge_record(job, old, {}, false, prefix .. field)
    if merged then keep_record(job, prefix .. field, merged, old, writes, gone) end
  end
  return writes, gone
end

-- Find the buckets that have other seals than `stated`: for each run of buckets its first number
-- u16, how many they are u16, and their seals, list after list. Returns their numbers u16.
local function broken_seals(job, stated)
  local broken, numbers, at = {}, {}, 1
  while at <= #stated do
    local first, count = unpack('>I2I2', stated, at)
    at = at + 4
    for i = 1, #job.lists do
      local mine = sub(stated, at, at + count * SEAL_BYTES - 1)
      local from = job.seals and seal_at(job.p, byte(job.lists, i), first)
      local held = from and sub(job.seals, from + 1, from + count * SEAL_BYTES) or ''
      for n = 1, held == mine and 0 or count do
        local part = (n - 1) * SEAL_BYTES + 1
        if sub(held, part, n * SEAL_BYTES) ~= sub(mine, part, n * SEAL_BYTES) then
          broken[first + n - 1] = true
        end
      end
      at = at + count * SEAL_BYTES
    end
  end
  for number in pairs(broken) do numbers[#numbers + 1] = pack('>I2', number) end
  return table.concat(numbers)
end

-- Seal a bucket that was merged, where it is as the rows say; and break what others it had.
local function seal_bucket(job, number, digests)
  for i = 1, job.seals and #job.lists or 0 do
    local code = byte(job.lists, i)
    local digest = sub(digests, (i - 1) * DIGEST_BYTES + 1, i * DIGEST_BYTES)
    local is_sealed = job.oldest > 0 and digests ~= ''
    write_seals(job.p, code, number, is_sealed and digest .. u48(job.oldest) or NO_SEAL)
    job.unsealed[code] = nil
  end
  for code in pairs(job.unsealed) do write_seals(job.p, code, number, NO_SEAL) end
end

-- Merge a bucket's rows, and write what they change.
local function merge_bucket(job, bucket, number, tally, rows)
  local held, writes, gone = job.is_partial and {} or redis.call('HGETALL', bucket), nil, {}
  if #held == 0 and tally ~= '' and job.may_fill then
    writes = new_records(job, tally, rows)
  else
    local olds = job.is_partial and read_named(bucket, rows) or by_field(held)
    writes, gone = merge_records(job, number, olds, rows)
  end
  if #writes + #gone > 0 then job.touched[#job.touched + 1] = pack('>I2', number) end
  if job.dry then return end
  if #gone > 0 then redis.call('HDEL', bucket, spread(gone)) end
  write_undo(job)
  for i = 1, #writes, AT_ONCE do
    redis.call('HSET', bucket, spread(writes, i, min(i + AT_ONCE - 1, #writes)))
  end
end
