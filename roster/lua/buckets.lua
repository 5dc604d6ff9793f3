-- The rows of a file, merged into one bucket.

local PLAIN_NO_REVISION, PLAIN, MIXED = 255, 254, 0

-- Whether the stored record says what the rows say: one comparison of bytes.
local function same(old, rec, kind)
  local n = unpack('>I2', rec)
  local size = 2 + HEADER * n
  if kind == PLAIN then
    size = size + 6 * n
  elseif kind == MIXED then
    for i = 1, n do
      local present = byte(rec, 4 + HEADER * (i - 1))
      if present >= 32 then return false end
      while present > 0 do
        if present % 2 == 1 then size = size + 6 end
        present = floor(present / 2)
      end
    end
  end
  return sub(old, 1, size) == sub(rec, 1, size), n
end

-- What the records of new buckets count, as the loader has counted it.
local function count_filled(job, counted)
  local known = cjson.decode(counted)
  for code, by in pairs(known.added) do count(job, tonumber(code), ADDED, by) end
  for name, by in pairs(known.counts) do add(job.delta, name, by) end
  for code, hex in pairs(known.digests) do
    code = tonumber(code)
    local digest = pack('>I4I4', tonumber(sub(hex, 1, 8), 16), tonumber(sub(hex, 9, 16), 16))
    job.delta.digests[code] = xor(job.delta.digests[code] or NO_DIGEST, digest)
  end
end

-- A bucket that Redis does not hold yet: the rows are its records.
local function fill(job, counted, blob)
  local writes, at = {}, 1
  while at <= #blob do
    local size = unpack('>I4', blob, at + 13)
    local rec = sub(blob, at + 17, at + 16 + size)
    writes[#writes + 1] = sub(blob, at, at + 11)
    writes[#writes + 1] = byte(blob, at + 12) == MIXED and serialize(parse(rec)) or rec
    job.written = job.written + 1
    job.bytes = job.bytes + size
    at = at + 17 + size
  end
  count_filled(job, counted)
  return writes
end

-- A bucket's records by field.
local function by_field(stored)
  local olds = {}
  for i = 1, #stored, 2 do olds[stored[i]] = stored[i + 1] end
  return olds
end

-- The records of the people whom the rows name, by field.
local function named(bucket, blob)
  local fields, olds, at = {}, {}, 1
  while at <= #blob do
    fields[#fields + 1] = sub(blob, at, at + 11)
    at = at + 17 + unpack('>I4', blob, at + 13)
  end
  for i = 1, #fields, 200 do
    local last = min(i + 199, #fields)
    local got = redis.call('HMGET', bucket, spread(fields, i, last))
    for k = i, last do olds[fields[k]] = got[k - i + 1] or nil end
  end
  return olds
end

-- What `diff_buckets` collects while it merges dry: place, record before, record after.
local diffs = nil

-- A bucket that Redis holds: its records that change, of those in `olds`.
local function blend(job, bucket, number, olds, blob)
  local writes, gone, at = {}, {}, 1
  local prefix = pack('>I2', number)
  local function write(field, record, old)
    if record == nil then return end
    if diffs then
      diffs[#diffs + 1] = prefix .. field .. pack('>I4I4', #(old or ''), #record)
        .. (old or '') .. record
    end
    if record == '' then
      gone[#gone + 1] = field
    else
      writes[#writes + 1] = field
      writes[#writes + 1] = record
      job.bytes = job.bytes + #record
    end
    job.written = job.written + 1
  end
  while at <= #blob do
    local field, kind = sub(blob, at, at + 11), byte(blob, at + 12)
    local size = unpack('>I4', blob, at + 13)
    local rec = sub(blob, at + 17, at + 16 + size)
    at = at + 17 + size
    local old = olds[field]
    olds[field] = nil
    local equal, n = false, 0
    if old then equal, n = same(old, rec, kind) end
    if equal then
      for i = 3, 2 + HEADER * n, HEADER do count(job, byte(rec, i), UNCHANGED, 1) end
      if job.partial and not job.dry then
        for _, e in ipairs(parse(old)) do tell_again(job, e, prefix .. field) end
      end
    else
      write(field, merge_record(job, old, parse(rec), kind == PLAIN_NO_REVISION,
                                prefix .. field), old)
    end
  end
  if not job.partial then
    for field, old in pairs(olds) do
      write(field, merge_record(job, old, {}, false, prefix .. field), old)
    end
  end
  if #gone > 0 and not job.dry then redis.call('HDEL', bucket, spread(gone)) end
  return writes, #gone > 0
end

-- The numbers u16 of the buckets that have other seals than is told: for each run of buckets its
-- first number u16, how many they are u16, and their seals, list after list.
local function unsealed(job, told)
  local broken, found, at = {}, {}, 1
  while at <= #told do
    local first, count = unpack('>I2I2', told, at)
    at = at + 4
    for i = 1, #job.lists do
      local mine = sub(told, at, at + count * SEAL - 1)
      local from = job.seals and seal_at(job.p, byte(job.lists, i), first)
      local held = from and sub(job.seals, from + 1, from + count * SEAL) or ''
      for n = 1, held == mine and 0 or count do
        local part = n * SEAL - SEAL + 1
        if sub(held, part, n * SEAL) ~= sub(mine, part, n * SEAL) then broken[first + n - 1] = true end
      end
      at = at + count * SEAL
    end
  end
  for number in pairs(broken) do found[#found + 1] = pack('>I2', number) end
  return table.concat(found)
end

-- Seal a bucket that was merged, where it is as the rows say; and break what others it had.
local function seal_bucket(job, number, digests)
  for i = 1, job.seals and #job.lists or 0 do
    local code = byte(job.lists, i)
    local seal = sub(digests, i * 8 - 7, i * 8) .. u48(job.oldest)
    if job.oldest == 0 or digests == '' then seal = NO_SEAL end
    set_seals(job.seals_key, job.p, code, number, seal)
    job.others[code] = nil
  end
  for code in pairs(job.others) do set_seals(job.seals_key, job.p, code, number, NO_SEAL) end
end

local function merge_bucket(job, bucket, number, counted, blob)
  local stored, writes, gone = job.partial and {} or redis.call('HGETALL', bucket), nil, nil
  -- The rows of a list that is covered have to be told one by one.
  if #stored == 0 and not job.partial and not job.tells and not job.shows and counted ~= '' then
    writes = fill(job, counted, blob)
  else
    local olds = job.partial and named(bucket, blob) or by_field(stored)
    writes, gone = blend(job, bucket, number, olds, blob)
  end
  if #writes > 0 or gone then job.touched[#job.touched + 1] = pack('>I2', number) end
  if job.dry then return end
  keep_notes(job)
  for i = 1, #writes, 200 do
    redis.call('HSET', bucket, spread(writes, i, min(i + 199, #writes)))
  end
end
