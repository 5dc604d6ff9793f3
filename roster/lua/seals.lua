-- Seals: a bucket's seal of a list says which rows of a file (a digest of 8, the loader's) would
-- change nothing, merged as of any later time; and since when (u48) the oldest tombstone is there
-- that the file lacks, which falls due by itself. They lie in one string, list after list in the
-- order of `sealed`. What else changes a bucket's entries of a list breaks its seal. All of
-- them hold only while every write is by a function that keeps them: a version without seals
-- raises `writes` alone.

local SEAL_BYTES, DIGEST_BYTES = 14, 8
local NO_SEAL = NO_PLACE

-- Find where the seal of a list's bucket lies; nil where the list has no place.
local function seal_at(p, list_code, number)
  local slot = string.find(p.sealed, char(list_code), 1, true)
  return slot and ((slot - 1) * BUCKETS + number) * SEAL_BYTES
end

-- Write a list's seals from this bucket on.
local function write_seals(p, list_code, number, seals)
  local at = p.sealed and seal_at(p, list_code, number)
  if at then redis.call('SETRANGE', p.seals, at, seals) end
end

-- Read how many writes were by functions that keep no seals, and how many when the seals began.
local function unsealed_writes(meta)
  local m = redis.call('HMGET', meta, 'writes', 'seal_writes', 'seal_base')
  return tonumber(m[1] or 0) - tonumber(m[2] or 0), tonumber(m[3] or -1)
end

-- Give the lists of a load places for their seals; where others have written, all begin anew.
local function begin_seals(p, lists)
  local writes, base = unsealed_writes(p.meta)
  if writes ~= base then
    redis.call('SET', p.seals, '')
    p.sealed = ''
  end
  p.sealed = union(p.sealed, lists)
  local held, size = redis.call('GET', p.seals) or '', #p.sealed * BUCKETS * SEAL_BYTES
  if #held < size then  -- at once: a string that grows is given twice what it needs
    redis.call('SET', p.seals, held .. string.rep('\0', size - #held))
  end
  redis.call('HSET', p.meta, 'sealed', p.sealed, 'seal_base', writes)
end

-- Read the seals; false where they do not hold.
local function valid_seals(p)
  local writes, base = unsealed_writes(p.meta)
  return p.sealed and writes == base and redis.call('GET', p.seals)
end

-- read_seals: those of a snapshot's lists.
--
--   ARGV[2]  lists of the snapshot
--   returns  {the seals of all buckets, list after list; '' where they do not hold}
register('read_seals', READS, {'seals'}, function(p, args)
  local seals, parts = valid_seals(p), {}
  for i = 1, seals and #args[2] or 0 do
    local at = seal_at(p, byte(args[2], i), 0) or #seals
    local part = sub(seals, at + 1, at + BUCKETS * SEAL_BYTES)
    parts[i] = part .. string.rep('\0', BUCKETS * SEAL_BYTES - #part)
  end
  return {table.concat(parts)}
end)
