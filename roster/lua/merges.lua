-- The rows of a file, merged into some buckets of one partition: what a load calls.

local function set_of(items)
  local set = {}
  for at = 1, #items, 21 do set[sub(items, at, at + 20)] = true end
  return set
end

local function close_merge(job, meta, lists, upto)
  flush(meta, job.delta)
  if job.p.seq ~= job.first_seq then
    redis.call('HSET', meta, 'seq', job.p.seq, 'mark', job.p.mark)
  end
  for name in pairs(job.told) do redis.call('HSET', meta, 't:' .. name, job.at_ms) end
  for i = 1, #lists do  -- of two calls under way (a loader of before) the second may come first
    local name = 'm:' .. byte(lists, i)
    local known = tonumber(redis.call('HGET', meta, name) or 0)
    redis.call('HSET', meta, name, max(known, tonumber(upto)))
    redis.call('HINCRBY', meta, 'k:' .. byte(lists, i), 1)
  end
  wrote(meta)
end

-- The reply of a merge.
local function told(job)
  local out = {job.first_seq, job.p.seq, job.written, job.bytes,
               table.concat(job.touched), table.concat(job.exceptions), table.concat(job.shown)}
  for code, counts in pairs(job.counts) do
    out[#out + 1] = code
    for i = 1, 5 do out[#out + 1] = counts[i] end
  end
  return out
end

-- merge_buckets: bring a file's rows into some buckets of one partition.
--
--   KEYS[1]  meta;  KEYS[2] log;  KEYS[3] forgotten;  KEYS[4] seals;  then bucket and history
--            of each bucket that has rows
--   ARGV[1]  check;  ARGV[2] lists of the snapshot, one byte each, '' for a partial file
--   ARGV[3]  as_of ms;  ARGV[4] nonce;  ARGV[5] tombstone ms;  ARGV[6] keep ms
--   ARGV[7]  mark seed;  ARGV[8] number of the bucket after the last
--   ARGV[9]  'dry': write nothing, only say what would become of the rows; 'show': and about
--            which entries file and roster disagree; or ''
--   ARGV[10] entries that count as present, 21 bytes each: place 14 (zeros: any), list, hash 6
--   ARGV[11] seals of buckets, which say that the rows change nothing, so that they are left
--            out: for each run of them the first number u16, their count u16, and their seals,
--            list after list
--   then for each bucket: number, tally (JSON of counts and digests, or '' for none),
--            rows: per record
--            field 12, kind u8 (255: no row has a revision and all are plainly listed,
--            254: all have one and are plainly listed, 0: any; there a row without a revision
--            has 32 added to its header's registers), size u32, record;  and the digests of the
--            rows, 8 for each list of the snapshot
--   returns  {the log's seq before and after, records written, their
--            bytes, numbers u16 of the buckets that change, who is (1) or is not (0) on a list
--            other than the rows say: field 12 and that byte, what is shown: added, changed ..
--            (1 ..) u8, list u8, bucket u16, content's size u16, content, then per list: code,
--            added, changed, ended, unchanged, superseded};
--            {-1, numbers u16}, and nothing is merged, where these buckets are told to be
--            sealed, and are not
local function merge_buckets(keys, args)
  local meta, log = keys[1], keys[2]
  local p, wrong = open(meta, args[1])
  if wrong then return wrong end
  local lists, dry = args[2], args[9] ~= ''
  if not dry and not still_mine(meta, lists, args[3] .. ':' .. args[4]) then
    return redis.error_reply('OLDER another load of this list has begun')
  end
  local at_ms, now_s = now_ms()
  if not dry then found(meta, keys[3], keys[4], p, now_s) end
  local job = {meta = meta, log = log, forgotten = keys[3], floors = {}, p = p, seed = args[7],
               at_ms = at_ms, as_of = tonumber(args[3]),
               tombstone_ms = tonumber(args[5]), keep_ms = tonumber(args[6]), lists = lists,
               snapshot = codes(lists), partial = #lists == 0, covered = codes(p.covered),
               kept = set_of(args[10]), delta = {digests = {}}, counts = {}, written = 0,
               bytes = 0, touched = {}, exceptions = {}, told = {}, dry = dry,
               shows = args[9] == 'show', shown = {}, seals_key = keys[4],
               seals = seals_of(meta, keys[4], p), first_seq = p.seq, nonce = args[4], noted = {}}
  local broken = unsealed(job, args[11])
  if broken ~= '' then return {-1, broken} end
  for i = 1, #lists do job.tells = job.tells or job.covered[byte(lists, i)] end
  local arg = 12
  for k = 5, #keys, 2 do
    local number = tonumber(args[arg])
    job.history, job.oldest, job.others = keys[k + 1], NEVER, {}
    merge_bucket(job, keys[k], number, args[arg + 1], args[arg + 2])
    if not dry then seal_bucket(job, number, args[arg + 3]) end
    arg = arg + 4
  end
  if not dry then close_merge(job, meta, lists, args[8]) end
  return told(job)
end

register('merge_buckets', merge_buckets, {})

-- diff_buckets: which records a file's rows would change, and into what; nothing is written.
--
--   KEYS, ARGV  as merge_buckets takes them, with 'dry'
--   returns  {for each record: place 14, size before u32, size after u32, both records; one that
--            there is not is empty}
local function diff_buckets(keys, args)
  diffs = {}
  local whole, reply = pcall(merge_buckets, keys, args)
  local found = table.concat(diffs)
  diffs = nil
  if not whole then error(reply, 0) end
  if reply.err then return reply end
  return {found}
end

register('diff_buckets', diff_buckets, {'no-writes'})

-- fill_buckets: bring a full file's rows into some buckets that are not there yet.
--
--   KEYS[1]  meta;  KEYS[2] seals;  then the buckets
--   ARGV[1]  check;  ARGV[2] lists of the snapshot, one byte each
--   ARGV[3]  as_of ms;  ARGV[4] nonce;  ARGV[5] number of the bucket after the last
--   ARGV[6]  records;  ARGV[7] their bytes
--   ARGV[8]  tally of all of them (JSON of counts and digests)
--   ARGV[9]  the first one's number;  ARGV[10] their seals, list after list
--   then for each bucket: what RESTORE takes for it, '' where the file has nothing
--   returns  as merge_buckets does; {-1}, and nothing is written, where a bucket is there,
--            where a list is covered already (its rows have to be told one by one), or
--            where the server does not take what it is to restore
local function fill_buckets(keys, args)
  local meta, lists = keys[1], args[2]
  local p, wrong = open(meta, args[1])
  if wrong then return wrong end
  if not still_mine(meta, lists, args[3] .. ':' .. args[4]) then
    return redis.error_reply('OLDER another load of this list has begun')
  end
  local covered = codes(p.covered)
  for i = 1, #lists do
    if covered[byte(lists, i)] then return {-1} end
  end
  if redis.call('EXISTS', spread(keys, 3)) > 0 then return {-1} end
  for k = 3, #keys do
    local payload = args[k + 8]
    if payload ~= '' and redis.pcall('RESTORE', keys[k], 0, payload).err then
      redis.call('DEL', spread(keys, 3))
      return {-1}
    end
  end
  for i = 1, seals_of(meta, keys[2], p) and #lists or 0 do
    local size = (#keys - 2) * SEAL
    local seals = sub(args[10], (i - 1) * size + 1, i * size)
    set_seals(keys[2], p, byte(lists, i), tonumber(args[9]), seals)
  end
  local job = {p = p, first_seq = p.seq, delta = {digests = {}}, counts = {}, told = {},
               written = tonumber(args[6]), bytes = tonumber(args[7]), touched = {},
               exceptions = {}, shown = {}}
  count_filled(job, args[8])
  close_merge(job, meta, lists, args[5])
  return told(job)
end

register('fill_buckets', fill_buckets, {})
