-- Snapshots: their begin and end; which lists are covered; images.

-- begin: announce a snapshot; older ones are refused from here on.
--
--   KEYS[1]  meta;  KEYS[2] forgotten;  KEYS[3] seals
--   ARGV[1]  stamp;  ARGV[2] list codes, one byte each;  ARGV[3] as_of ms;  ARGV[4] nonce
--   returns  {position 14, covered, entries known}
local function begin(keys, args)
  local meta = keys[1]
  local p, wrong = open(meta, args[1])
  if wrong then return wrong end
  local _, now_s = now_ms()
  for i = 1, #args[2] do
    local begun = redis.call('HGET', meta, 'b:' .. byte(args[2], i))
    if begun and tonumber(string.match(begun, '^%d+')) > tonumber(args[3]) then
      return redis.error_reply('OLDER a newer snapshot of this list has begun')
    end
    local edited = redis.call('HGET', meta, 'ge:' .. byte(args[2], i))
    if edited and tonumber(args[3]) <= tonumber(edited) then
      return redis.error_reply('FORGOTTEN later removals of this list are not known any more')
    end
  end
  found(meta, keys[2], keys[3], p, now_s)
  begin_seals(meta, keys[3], p, args[2])
  for i = 1, #args[2] do
    local code = byte(args[2], i)
    redis.call('HSET', meta, 'b:' .. code, args[3] .. ':' .. args[4], 'm:' .. code, 0,
               'k:' .. code, 0, 'h:' .. code, p.history)
  end
  return {position(p), p.covered, tonumber(redis.call('HGET', meta, 'ever') or 0)}
end

register('begin', begin, {})

local function still_mine(meta, lists, stamp)
  for i = 1, #lists do
    if redis.call('HGET', meta, 'b:' .. byte(lists, i)) ~= stamp then return false end
  end
  return true
end

-- Whether all that a load has merged here is still there: every call has left its count.
local function has_merged(meta, lists, calls)
  for i = 1, #lists do
    if redis.call('HGET', meta, 'k:' .. byte(lists, i)) ~= calls then return false end
  end
  return true
end

-- finish: a partition has its snapshot: floor, coverage, and for a first load the image
-- and a reset, after which no process is fresh until it holds an image that covers it. A
-- rewound partition stays so until all its lists have been loaded from newer files.
--
--   KEYS[1]  meta;  KEYS[2] log;  KEYS[3] image
--   ARGV[1]  check;  ARGV[2] lists;  ARGV[3] as_of;  ARGV[4] nonce;  ARGV[5] mark seed
--   ARGV[6]  position 14 that the bits include;  ARGV[7] the filter's bytes
--   ARGV[8]  how many calls have merged something for it here;  ARGV[9] 'some' where only some
--            buckets were merged: that makes nothing good of what a rewound partition has lost
--   returns  {position 14}
local function finish(keys, args)
  local meta, log, image = keys[1], keys[2], keys[3]
  local p, wrong = open(meta, args[1])
  if wrong then return wrong end
  local lists, as_of = args[2], tonumber(args[3])
  if not still_mine(meta, lists, args[3] .. ':' .. args[4]) then
    return redis.error_reply('OLDER another load of this list has begun')
  end
  local where = reached(log, p, args[6])
  if where == 'ahead' or where == 'other' or not has_merged(meta, lists, args[8]) then
    return redis.error_reply('PUTBACK an older state of the roster came back meanwhile')
  end
  note_rewound(meta, log, p, '')
  local at_ms, now_s = now_ms()
  local load = {lists = lists, as_of = as_of, from = args[6], outdated = where ~= 'here'}
  if args[9] ~= 'some' then make_good(meta, log, p, load, now_s) end
  local covered, told = codes(p.covered), p.seq
  for i = 1, #lists do
    local code = byte(lists, i)
    if not covered[code] then
      p.covered = p.covered .. char(code)
      append(log, p, args[5], char(RESET, code, 0, 0) .. NO_PLACE
             .. u48(as_of) .. u48(at_ms) .. '\0\0')
    end
    redis.call('HSET', meta, 'f:' .. code, args[3], 'w:' .. code, at_ms)
    redis.call('HDEL', meta, 'm:' .. code, 'k:' .. code, 'h:' .. code)
  end
  if p.seq == told then
    local up_to_date = load.from == position(p)
    append(log, p, args[5], note(NO_PLACE, as_of, at_ms))
    if up_to_date then load.from = position(p) end
  end
  local covers = pack('>I4', p.history) .. u48(p.seq)
  redis.call('HSET', meta, 'covered', p.covered, 'seq', p.seq, 'mark', p.mark)
  if load.outdated then
    redis.call('DEL', image)
    redis.call('HDEL', meta, 'image')
  else
    redis.call('SET', image, load.from .. covers .. args[7])
    redis.call('HSET', meta, 'image', load.from .. covers)
  end
  redis.call('HDEL', meta, 'unlogged')  -- an older version's load counts in it while it compares
  wrote(meta)
  return {position(p)}
end

register('finish', finish, {})

-- uncover: these lists count as never loaded in full, until the next full file.
--
--   KEYS[1]  meta;  KEYS[2] log
--   ARGV[1]  check;  ARGV[2] lists, one byte each;  ARGV[3] mark seed 4
--   returns  {1 where one of them was covered}
local function uncover(keys, args)
  local meta, p, wrong = keys[1], open(keys[1], args[1])
  if wrong then return wrong end
  local gone, left, at_ms = codes(args[2]), '', now_ms()
  for i = 1, #p.covered do
    if not gone[byte(p.covered, i)] then left = left .. sub(p.covered, i, i) end
  end
  wrote(meta)
  if left == p.covered then return {0} end
  for code in pairs(gone) do redis.call('HDEL', meta, 'f:' .. code, 'w:' .. code) end
  append(keys[2], p, args[3], note(NO_PLACE, at_ms, at_ms))
  redis.call('HSET', meta, 'covered', left, 'seq', p.seq, 'mark', p.mark)
  return {1}
end

register('uncover', uncover, {'allow-oom'})

-- set_image: renew a partition's image where this one is newer and the log holds its mark.
--
--   KEYS[1]  meta;  KEYS[2] log;  KEYS[3] image
--   ARGV[1]  check;  ARGV[2] position 14 that the bits include;  ARGV[3] the filter's bytes
--   ARGV[4]  trim the log up to this seq, at most the image's
--   returns  {1 where it was taken}
local function set_image(keys, args)
  local meta, log, image = keys[1], keys[2], keys[3]
  local p, wrong = open(meta, args[1])
  if wrong then return wrong end
  local from = args[2]
  if p.rewound == '1' or reached(log, p, from) ~= 'here' then return {0} end
  local old = p.image
  if old ~= '' and unpack('>I4', old) == p.history and from_u48(old, 5) > from_u48(from, 5) then
    return {0}
  end
  -- A first load has finished since these bits were read: they do not cover its reset.
  if old ~= '' and unpack('>I4', old, 15) == p.history
    and from_u48(old, 19) > from_u48(from, 5)
  then
    return {0}
  end
  local covers = sub(from, 1, 10)
  redis.call('SET', image, from .. covers .. args[3])
  redis.call('HSET', meta, 'image', from .. covers)
  local trim = min(tonumber(args[4]), from_u48(from, 5))
  if trim > 0 then redis.call('XTRIM', log, 'MINID', id(p, trim)) end
  return {1}
end

register('set_image', set_image, {'allow-oom'})
