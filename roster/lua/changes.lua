-- Changes: single edits, merged in order; several of one partition in one call.

local PROV_SIZE_AT, PROV_BYTES = 37, 248

-- Read a stored record's entries; false where nobody can.
local function read_entries(bucket, field) return try_parse(redis.call('HGET', bucket, field)) end

-- Add up an entry's registers: they are only ever raised.
local function sum_of(e) return e.L + e.R + e.S + e.U + e.A end

-- Read a change of ARGV; without a revision it has 0.
local function parse_change(job, bucket, history, arg)
  local list_code, op, high, low = unpack('>BBI2I4', arg, 15)
  local field, prov_ends = sub(arg, 3, 14), PROV_SIZE_AT + byte(arg, PROV_SIZE_AT)
  return {key = bucket .. field, bucket = bucket, history = history, field = field,
          place = sub(arg, 1, 14), list = list_code, op = op, revision = high * 4294967296 + low,
          hash = sub(arg, 23, 28), digest = sub(arg, 29, 36), content = sub(arg, prov_ends + 1),
          prov = job.prov .. sub(arg, PROV_SIZE_AT + 1, prov_ends)}
end

-- Put an event into the log when all are merged.
local function log_later(job, event)
  local log = job.log
  log[#log + 1], log[#log + 2] = next_entry(job.p, event)
end

-- Log a change, and add it to the person's history where it can be seen there.
local function log_change(job, inc, e, before)
  local now = state_of(e)
  local is_again = inc.outcome == DUPLICATE and (inc.op == OP_PUT or inc.op == OP_RESUME)
  if inc.outcome == APPLIED or inc.outcome == UNSEEN or (is_again and is_live(now)) then
    local event = pack_event(inc.op, e, before.state, inc.place, job.at_ms, inc.revision,
                             inc.content, inc.prov)
    log_later(job, event)
    if e.list == CANARY then return end
    job.times[field_name('t:', e.list, inc.op)] = true
    if inc.outcome == DUPLICATE then return end
    local events = cached(job.histories, inc.key, read_events, inc.history, inc.field)
    job.histories[inc.key] = append_event(events, event, job.at_ms, job.keep_ms)
    job.seen[inc.key] = inc
  elseif is_live(now) then  -- a first load that was killed may have stored it and told nobody
    log_later(job, pack_state(e, before.state, inc.place, job.at_ms))
  elseif sum_of(e) ~= before.sum or e.content ~= before.content then
    log_later(job, pack_silent(inc.place, inc.revision, job.at_ms))
  end
end

-- Merge one change into its entry; returns the outcome.
local function merge_change(job, inc, e)
  if inc.op ~= OP_PUT then return merge_edit(e, inc) end
  local floor = cached(job.floors, inc.list, read_floor, job.p.meta, inc.list)
  return merge_put(e, inc, floor_of(floor, job.p.forgotten, inc.place, e, inc.revision))
end

-- Merge one change of `apply` into its record; `job` has what is to be written once all are merged.
-- Returns what the reply has of it.
local function apply_change(job, inc)
  local p, entries = job.p, cached(job.records, inc.key, read_entries, inc.bucket, inc.field)
  if not entries then
    return pack('>BBB', UNREADABLE, UNKNOWN, UNKNOWN) .. u48(0) .. position_of(p) .. u48(0)
  end
  local e = entry_of(entries, inc.list, inc.hash)
  if inc.revision == 0 then inc.revision = max(job.at_ms, revision_of(e) + 1) end
  local before = {state = state_of(e), L = e.L, digest = e.digest, sum = sum_of(e),
                  content = e.content}
  inc.outcome = merge_change(job, inc, e)
  if inc.outcome ~= DUPLICATE then
    job.changed[inc.key] = inc
    job.unsealed[#job.unsealed + 1] = inc
    if e.list ~= CANARY then count_change(job.delta, entries, e, before) end
  end
  log_change(job, inc, e, before)
  drop_unknown(entries, e)
  return pack('>BBB', inc.outcome, before.state, state_of(e)) .. u48(revision_of(e))
    .. position_of(p) .. u48(inc.revision)
end

-- Write what the changes of a call have made: records, seals, the log, histories.
local function write_changes(job)
  local p, log = job.p, job.log
  for key, inc in pairs(job.changed) do
    redis.call('HSET', inc.bucket, inc.field, pack_record(job.records[key]))
  end
  for _, inc in ipairs(job.unsealed) do
    write_seals(p, inc.list, unpack('>I2', inc.place), NO_SEAL)
  end
  for i = 1, #log, 2 do redis.call('XADD', p.log, log[i], 'e', log[i + 1]) end
  for key, inc in pairs(job.seen) do
    redis.call('HSET', inc.history, inc.field, job.histories[key])
  end
end

-- apply: merge changes of one partition into their records, in order, and tell every process.
--
--   KEYS     meta, log, forgotten, seals; then for each change: bucket, history
--   ARGV[2]  mark seed 4;   ARGV[3] the process' high-water mark or '';  ARGV[4] keep_ms
--   then for each change: place 14, list u8, op u8, revision u48 (0: now or stored + 1), entry
--            hash 6, digest 8, size u8 and bytes of the provenance's tail, content
--   returns  {applied_ms, joined for each change: outcome u8 (0: what is stored cannot be read,
--            and stays), state before u8, state u8, revision u48, position 14, its own revision
--            u48}; everything is merged before anything is written, and every outcome writes
--            something, so that WAIT has an offset to wait for;
--            {-1}, and nothing is written, where there is no partition yet and the roster's id is
--            one that the caller has known for a while: the roster may have been emptied since
local function apply(p, args, keys)
  for i = 5, #args do
    if byte(args[i], PROV_SIZE_AT) > PROV_BYTES then
      return redis.error_reply('ERR the provenance is too long')
    end
  end
  if not (p.check or p.is_fresh) then return {-1} end
  local at_ms, now_s = now_ms()
  found_partition(p, now_s)
  detect_rewind(p, args[3])
  p.seed = args[2]
  local job = {p = p, at_ms = at_ms, keep_ms = tonumber(args[4]), prov = 'P' .. u48(at_ms),
               log = {}, records = {}, floors = {}, changed = {}, unsealed = {}, histories = {},
               seen = {}, times = {}, delta = new_delta()}
  local results = {}
  for i = 5, #args do
    local inc = parse_change(job, keys[2 * i - 5], keys[2 * i - 4], args[i])
    results[i - 4] = apply_change(job, inc)
  end
  write_changes(job)
  local sets = state_pairs(p, #job.log > 0, job.times, at_ms)
  if is_news(p, args[3]) then sets[#sets + 1], sets[#sets + 2] = 'ack', sub(args[3], 1, 14) end
  write_counts(p, job.delta, #results, sets)
  return {at_ms, table.concat(results)}
end

register('apply', WRITES, {'log', 'forgotten', 'seals'}, apply)
register('apply_oom', ALWAYS, {'log', 'forgotten', 'seals'}, apply)
