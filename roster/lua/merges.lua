-- The rows of a file, merged into some buckets of one partition: what a load calls.

local KEPT_BYTES, NEVER = 21, 281474976710655  -- no time is later

-- Make a set of the entries that count as present.
local function kept_set(kept)
  local set = {}
  for at = 1, #kept, KEPT_BYTES do set[sub(kept, at, at + KEPT_BYTES - 1)] = true end
  return set
end

-- Write the counts of a merge, and how far it has come.
local function close_merge(p, job, lists, upto)
  local sets = state_pairs(p, p.seq ~= job.first_seq, job.times, job.at_ms)
  for i = 1, #lists do  -- of two calls under way (a loader of before) the second may come first
    local code = byte(lists, i)
    local known = tonumber(redis.call('HGET', p.meta, 'm:' .. code) or 0)
    sets[#sets + 1], sets[#sets + 2] = 'm:' .. code, max(known, tonumber(upto))
    add_count(job.delta.counts, 'k:' .. code, 1)
  end
  write_counts(p, job.delta, 1, sets)
end

-- Make the reply of a merge.
local function merge_reply(p, job)
  local reply = {job.first_seq, p.seq, job.written, job.bytes, table.concat(job.touched),
                 table.concat(job.exceptions), table.concat(job.shown or {})}
  for code, fates in pairs(job.fates) do
    reply[#reply + 1] = code
    for i = 1, 5 do reply[#reply + 1] = fates[i] end
  end
  return reply
end

-- Begin the job of a merge of these lists.
local function new_job(p, lists)
  return {p = p, lists = lists, first_seq = p.seq, delta = new_delta(), fates = {}, times = {},
          written = 0, bytes = 0, touched = {}, exceptions = {}}
end

-- Tell whether one of these lists is covered.
local function any_covered(p, lists)
  local covered = code_set(p.covered)
  for i = 1, #lists do
    if covered[byte(lists, i)] then return true end
  end
  return false
end

-- merge_buckets: bring a file's rows into some buckets of one partition.
--
--   KEYS     meta, log, forgotten, seals; then bucket and history of each bucket that has rows
--   ARGV[2]  lists of the snapshot, '' for a partial file
--   ARGV[3]  as_of;  ARGV[4] nonce;  ARGV[5] tombstone_ms;  ARGV[6] keep_ms
--   ARGV[7]  mark seed;  ARGV[8] number of the bucket after the last
--   ARGV[9]  'dry': write nothing, only say what would become of the rows; 'show': and about
--            which entries file and roster disagree; or ''
--   ARGV[10] entries that count as present, 21 bytes each: place 14 (zeros: any), list, hash 6
--   ARGV[11] seals of buckets, which say that the rows change nothing, so that they are left
--            out: for each run of them the first number u16, their count u16, and their seals,
--            list after list
--   ARGV[12] provenance of what the file ends; '': the entry's own stays
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
local function merge_buckets(p, args, keys, diffs)
  local lists, job, dry = args[2], new_job(p, args[2]), args[9] ~= ''
  local refusal = not dry and refuse_other(p, lists, args[3], args[4])
  if refusal then return refusal end
  local at_ms, now_s = now_ms()
  if not dry then found_partition(p, now_s) end
  p.seed = args[7]
  job.at_ms, job.as_of, job.nonce = at_ms, tonumber(args[3]), args[4]
  job.tombstone_ms, job.keep_ms = tonumber(args[5]), tonumber(args[6])
  job.covered, job.is_full, job.is_partial = code_set(p.covered), code_set(lists), #lists == 0
  job.ended_by = args[12]
  job.dry, job.shown, job.diffs = dry, args[9] == 'show' and {} or nil, diffs
  job.kept, job.floors, job.undo, job.seals = kept_set(args[10]), {}, {}, valid_seals(p)
  -- The rows of a list that is covered have to be told one by one.
  job.may_fill = not (job.is_partial or job.shown or any_covered(p, lists))
  local broken = broken_seals(job, args[11])
  if broken ~= '' then return {-1, broken} end
  for k = 5, #keys, 2 do
    local at = 2 * k + 3
    local number = tonumber(args[at])
    job.history, job.oldest, job.unsealed = keys[k + 1], NEVER, {}
    merge_bucket(job, keys[k], number, args[at + 1], args[at + 2])
    if not dry then seal_bucket(job, number, args[at + 3]) end
  end
  if not dry then close_merge(p, job, lists, args[8]) end
  return merge_reply(p, job)
end

register('merge_buckets', WRITES, {'log', 'forgotten', 'seals'}, function(p, args, keys)
  return merge_buckets(p, args, keys)
end)

-- diff_buckets: which records a file's rows would change, and into what; nothing is written.
--
--   KEYS, ARGV  as merge_buckets takes them, with 'dry'
--   returns  {for each record: place 14, size before u32, size after u32, both records; one that
--            there is not is empty}
register('diff_buckets', READS, {'log', 'forgotten', 'seals'}, function(p, args, keys)
  local diffs = {}
  local reply = merge_buckets(p, args, keys, diffs)
  return reply.err and reply or {table.concat(diffs)}
end)

-- Write the payloads of new buckets, as RESTORE takes them ('': none); false, and none is written,
-- where one is there already or the server takes no such payload.
local function restore_buckets(keys, args)
  if redis.call('EXISTS', spread(keys, 3)) > 0 then return false end
  for k = 3, #keys do
    local payload = args[k + 8]
    if payload ~= '' and redis.pcall('RESTORE', keys[k], 0, payload).err then
      redis.call('DEL', spread(keys, 3))
      return false
    end
  end
  return true
end

-- fill_buckets: bring a full file's rows into some buckets that are not there yet.
--
--   KEYS     meta, seals; then the buckets
--   ARGV[2]  lists of the snapshot
--   ARGV[3]  as_of;  ARGV[4] nonce;  ARGV[5] number of the bucket after the last
--   ARGV[6]  records;  ARGV[7] their bytes
--   ARGV[8]  tally of all of them (JSON of counts and digests)
--   ARGV[9]  the first one's number;  ARGV[10] their seals, list after list
--   then for each bucket: what RESTORE takes for it, '' where the file has nothing
--   returns  as merge_buckets does; {-1}, and nothing is written, where a bucket is there,
--            where a list is covered already (its rows have to be told one by one), or
--            where the server does not take what it is to restore
register('fill_buckets', WRITES, {'seals'}, function(p, args, keys)
  local lists, job = args[2], new_job(p, args[2])
  local refusal = refuse_other(p, lists, args[3], args[4])
  if refusal then return refusal end
  if any_covered(p, lists) or not restore_buckets(keys, args) then return {-1} end
  local size = (#keys - 2) * SEAL_BYTES
  for i = 1, valid_seals(p) and #lists or 0 do
    local seals = sub(args[10], (i - 1) * size + 1, i * size)
    write_seals(p, byte(lists, i), tonumber(args[9]), seals)
  end
  job.written, job.bytes = tonumber(args[6]), tonumber(args[7])
  count_tally(job, args[8])
  close_merge(p, job, lists, args[5])
  return merge_reply(p, job)
end)
