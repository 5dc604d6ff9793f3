-- A partition's state as a call finds it in `meta`, and the registration of functions.

-- Read the server's clock, in ms and in s.
local function now_ms()
  local t = redis.call('TIME')
  return t[1] * 1000 + trunc(t[2] / 1000), tonumber(t[1])
end

-- Read what a rewound partition has lost; nil where the version that found it has left nothing, or
-- what is there is of an earlier rewind.
local function read_loss(p)
  local m = redis.call('HMGET', p.meta, 'lost', 'lost_ms', 'lost_lists', 'kept', 'lost_in')
  if not m[5] or tonumber(m[5]) ~= p.history then return nil end
  return {position = m[1], at_ms = tonumber(m[2]), lists = m[3], kept = m[4]}
end

-- Open the partition of these keys, `meta` first; `names` are those of the next ones. `stamp` is
-- the check value of the ID key and, where the caller knows it, the roster's id, with one byte more
-- where it was read for this very call. Returns the partition, or nil and an error where that is
-- another key.
local function open_partition(keys, names, stamp)
  local m = redis.call('HMGET', keys[1], 'check', 'history', 'seq', 'mark', 'covered', 'rewound',
                       'image', 'ack', 'roster', 'sealed')
  if m[1] and m[1] ~= sub(stamp, 1, 8) then
    return nil, redis.error_reply('WRONGKEY the roster was loaded with another ID key')
  end
  local p = {meta = keys[1], check = m[1], history = tonumber(m[2] or 0), seq = tonumber(m[3] or 0),
             mark = m[4] or NO_MARK, covered = m[5] or '', rewound = m[6] == '1',
             image_header = m[7] or '', ack = m[8] or '', roster = m[9] or '', sealed = m[10],
             stamp = stamp, id = sub(stamp, 9, 24), is_fresh = #stamp > 24}
  for i = 1, #names do p[names[i]] = keys[i + 1] end
  if p.rewound then p.loss = read_loss(p) end
  return p
end

-- Register a function. With `names` it is one on a partition, and gets it, ARGV and KEYS: KEYS[1]
-- is `meta`, the next are `names`, ARGV[1] is the stamp. Without, it gets KEYS and ARGV.
local function register(name, flags, names, callback)
  local function run(keys, args)
    bind()
    if not names then return callback(keys, args) end
    local p, refusal = open_partition(keys, names, args[1])
    if not p then return refusal end
    return callback(p, args, keys)
  end
  redis.register_function{function_name = name .. VERSION, flags = flags, callback = run}
end

-- Begin a new history of the log.
local function begin_history(p, history)
  p.history, p.seq, p.mark = history, 0, NO_MARK
  redis.call('HSET', p.meta, 'history', history, 'seq', 0, 'mark', NO_MARK)
end

-- Found the partition with its first write, and name its roster where that is not known. From the
-- start there are `forgotten` and `seals`, be they empty: while a cluster moves the partition, a
-- call that names a key which is not there is refused.
local function found_partition(p, now_s)
  local is_named = p.id ~= '' and p.roster == ''
  if not p.sealed then
    redis.call('SET', p.seals, '', 'NX')
    redis.call('HSET', p.meta, 'sealed', '')
    p.sealed = ''
  end
  if not p.check or is_named then redis.call('SET', p.forgotten, '', 'NX') end
  if is_named then
    redis.call('HSET', p.meta, 'roster', p.id)
    p.roster = p.id
  end
  if p.check then return end
  p.check = sub(p.stamp, 1, 8)
  redis.call('HSET', p.meta, 'check', p.check)
  begin_history(p, max(p.history + 1, now_s))
end

-- Tell whether the caller speaks of another roster.
local function is_other_roster(p)
  return p.id ~= '' and p.roster ~= '' and p.id ~= p.roster
end

-- adopt: the partition says of which roster it is.
--
--   KEYS     meta, forgotten, seals
--   returns  the roster's id, or '' where there is no partition yet
register('adopt', ALWAYS, {'forgotten', 'seals'}, function(p)
  if p.check then found_partition(p, 0) end
  return p.roster
end)

-- settle: write something, so that WAIT has an offset to wait for.
--
--   KEYS[1]  meta
--   returns  {1}
register('settle', ALWAYS, nil, function(keys)
  count_write(keys[1])
  return {1}
end)
