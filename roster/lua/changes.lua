-- Changes, one at a time.

-- What is read once for all changes of a call, by what names it.
local function once(cache, name, read, ...)
  local value = cache[name]
  if value == nil then
    value = read(...)
    cache[name] = value
  end
  return value
end

local function stored(bucket, field) return parsed(redis.call('HGET', bucket, field)) end

-- What an edit raises, if it changes anything but the content.
local function raised(e) return e.L + e.R + e.S + e.U + e.A end

-- One change of `apply`: `job` has what is to be written once all are merged.
local function change(job, bucket, history, arg)
  local place, field, prov = sub(arg, 1, 14), sub(arg, 3, 14), 37 + byte(arg, 37)
  local list_code, op, high, low = unpack('>BBI2I4', arg, 15)
  local inc = {revision = high * 4294967296 + low, digest = sub(arg, 29, 36),
               content = sub(arg, prov + 1), prov = job.stamp .. sub(arg, 38, prov)}
  local key = bucket .. field
  local entries = once(job.records, key, stored, bucket, field)
  if not entries then return pack('>BBB', UNREADABLE, 0, 0) .. u48(0) .. position(job.p) .. u48(0) end
  local hash = sub(arg, 23, 28)
  local e = find(entries, list_code, hash)
  if not e then
    e = blank(list_code, hash)
    insert(entries, e)
  end
  if inc.revision == 0 then inc.revision = max(job.at_ms, revision(e) + 1) end
  local before, outcome = {state = state(e), L = e.L, digest = e.digest, raised = raised(e),
                           content = e.content}, nil
  if op == PUT then
    local told = once(job.told, list_code, told_of, job.meta, list_code)
    outcome = put(e, inc, floor_of(told, job.forgotten, place, e, inc.revision))
  else
    outcome = raise(e, inc, RAISES[op])
  end
  local now, counted = state(e), list_code ~= CANARY
  if outcome ~= DUPLICATE then
    job.changed[key] = {bucket, field, entries}
    job.broken[#job.broken + 1] = {list_code, unpack('>I2', place)}
    if counted then recount(job.delta, entries, e, before) end
  end
  if outcome == APPLIED or outcome == UNSEEN
    or (outcome == DUPLICATE and (op == PUT or op == RESUME) and live(now))
  then
    local entry = log_entry(op, e, before.state, place, job.at_ms, inc.revision, inc.content,
                            inc.prov)
    job.log[#job.log + 1], job.log[#job.log + 2] = numbered(job.p, job.seed, entry)
    if counted then job.times[spelled('t:', list_code, op)] = true end
    if counted and outcome ~= DUPLICATE then
      local known = once(job.pasts, key, past, history, field)
      job.pasts[key] = with_event(known, entry, job.at_ms, job.keep_ms)
      job.remembered[key] = {history, field}
    end
  elseif live(now) then  -- a first load that was killed may have stored it and told nobody
    local entry = log_entry(OPS[now], e, before.state, place, job.at_ms, revision(e), e.content,
                            e.prov)
    job.log[#job.log + 1], job.log[#job.log + 2] = numbered(job.p, job.seed, entry)
  elseif raised(e) ~= before.raised or e.content ~= before.content then
    local entry = note(place, inc.revision, job.at_ms)
    job.log[#job.log + 1], job.log[#job.log + 2] = numbered(job.p, job.seed, entry)
  end
  return pack('>BBB', outcome, before.state, now) .. u48(revision(e)) .. position(job.p)
    .. u48(inc.revision)
end

-- apply: merge changes of one partition into their records, in order, and tell every process.
--
--   KEYS[1]  meta   hash    the partition's state
--   KEYS[2]  log    stream  changes
--   KEYS[3]  forgotten  string  bits of the entries that are forgotten
--   KEYS[4]  seals  string  digests of the rows that a bucket is known to be as
--   then for each change: bucket, a hash of records by field; history, a hash of what
--            happened to each person of the bucket
--   ARGV[1]  stamp: the ID key's check value 8, the roster's id 16 where it is known
--   ARGV[2]  mark seed 4;   ARGV[3] the process' high-water mark or '';  ARGV[4] keep_ms
--   then for each change: bucket number u16 and field 12, list u8, op u8, revision in ms u48
--            (0: now or stored + 1), entry hash 6, digest 8, size u8 and bytes of the
--            provenance's tail, content
--   returns  {applied_ms, joined for each change: outcome u8 (0: what is stored cannot be read,
--            and stays), was u8, state u8, revision u48, position 14, its own revision u48}
--            everything is merged before anything is written, and every outcome writes
--            something, so that WAIT has an offset to wait for
local function apply(keys, args)
  local meta = keys[1]
  local p, wrong = open(meta, args[1])
  if wrong then return wrong end
  for i = 5, #args do
    if byte(args[i], 37) > 248 then return redis.error_reply('ERR the provenance is too long') end
  end
  local at_ms, now_s = now_ms()
  found(meta, keys[3], keys[4], p, now_s)
  note_rewound(meta, keys[2], p, args[3])
  local job = {meta = meta, p = p, forgotten = keys[3], log = {}, seed = args[2], at_ms = at_ms,
               keep_ms = tonumber(args[4]), stamp = 'P' .. u48(at_ms), records = {}, told = {},
               changed = {}, broken = {}, pasts = {}, remembered = {}, times = {}, delta = {digests = {}}}
  local out = {}
  for i = 5, #args do out[#out + 1] = change(job, keys[2 * i - 5], keys[2 * i - 4], args[i]) end
  for _, c in pairs(job.changed) do redis.call('HSET', c[1], c[2], serialize(c[3])) end
  for _, b in ipairs(job.broken) do set_seals(keys[4], p, b[1], b[2], NO_SEAL) end
  for i = 1, #job.log, 2 do redis.call('XADD', keys[2], job.log[i], 'e', job.log[i + 1]) end
  for key, h in pairs(job.remembered) do redis.call('HSET', h[1], h[2], job.pasts[key]) end
  local sets = {}
  local function set(name, value) sets[#sets + 1], sets[#sets + 2] = name, value end
  if #job.log > 0 then
    set('seq', p.seq)
    set('mark', p.mark)
  end
  for name in pairs(job.times) do set(name, at_ms) end
  if is_news(p, args[3]) then set('ack', sub(args[3], 1, 14)) end
  add(job.delta, 'writes', #args - 4)  -- one for each: an older version's load counts them
  add(job.delta, 'seal_writes', #args - 4)
  flush(meta, job.delta, sets)
  return {at_ms, table.concat(out)}
end

register('apply', apply, {})
register('apply_oom', apply, {'allow-oom'})
