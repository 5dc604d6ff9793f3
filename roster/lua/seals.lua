-- Seals: a bucket's seal of a list says which rows of a file (a digest of 8, the loader's) would
-- change nothing, merged as of any later time; and since when (u48) the oldest tombstone is there
-- that the file lacks, which falls due by itself. They lie in one string, list after list in the
-- order of `sealed`. What else changes a bucket's entries of a list breaks its seal. All of
-- them hold only while every write is by a function that keeps them: a version without seals
-- raises `writes` alone.

local function seal_at(p, list_code, number)
  local slot = string.find(p.sealed, char(list_code), 1, true)
  return slot and ((slot - 1) * BUCKETS + number) * SEAL
end

-- From this bucket on a list has these seals.
local function set_seals(key, p, list_code, number, seals)
  local at = p.sealed and seal_at(p, list_code, number)
  if at then redis.call('SETRANGE', key, at, seals) end
end

-- How many writes were by functions that keep no seals; and how many were when they began.
local function unsealing(meta)
  local m = redis.call('HMGET', meta, 'writes', 'seal_writes', 'seal_base')
  return tonumber(m[1] or 0) - tonumber(m[2] or 0), tonumber(m[3] or -1)
end

-- The lists of a load have places for their seals; where others have written, all begin anew.
local function begin_seals(meta, seals, p, lists)
  local others, base = unsealing(meta)
  if others ~= base then
    redis.call('SET', seals, '')
    p.sealed = ''
  end
  p.sealed = union(p.sealed, lists)
  local held, size = redis.call('GET', seals) or '', #p.sealed * BUCKETS * SEAL
  if #held < size then  -- at once: a string that grows is given twice what it needs
    redis.call('SET', seals, held .. string.rep('\0', size - #held))
  end
  redis.call('HSET', meta, 'sealed', p.sealed, 'seal_base', others)
end

-- The seals, or false where they do not hold.
local function seals_of(meta, seals, p)
  local others, base = unsealing(meta)
  return p.sealed and others == base and redis.call('GET', seals)
end

-- Count one more write, by a function that keeps seals.
local function wrote(meta)
  redis.call('HINCRBY', meta, 'seal_writes', 1)
  redis.call('HINCRBY', meta, 'writes', 1)
end

-- read_seals: those of a snapshot's lists.
--
--   KEYS[1]  meta;  KEYS[2] seals
--   ARGV[1]  check;  ARGV[2] lists of the snapshot, one byte each
--   returns  {the seals of all buckets, list after list; '' where they do not hold}
local function read_seals(keys, args)
  local p, wrong = open(keys[1], args[1])
  if wrong then return wrong end
  local seals, out = seals_of(keys[1], keys[2], p), {}
  for i = 1, seals and #args[2] or 0 do
    local at = seal_at(p, byte(args[2], i), 0) or #seals
    local mine = sub(seals, at + 1, at + BUCKETS * SEAL)
    out[i] = mine .. string.rep('\0', BUCKETS * SEAL - #mine)
  end
  return {table.concat(out)}
end

register('read_seals', read_seals, {'no-writes'})
