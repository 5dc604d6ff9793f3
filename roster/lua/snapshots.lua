-- Snapshots: how full files and partial ones begin and end; which lists are covered; images.

-- begin: announce a snapshot; older ones are refused from here on.
--
--   ARGV[2]  lists;  ARGV[3] as_of;  ARGV[4] nonce
--   returns  {position 14, covered, how many entries were ever listed}
register('begin', WRITES, {'forgotten', 'seals'}, function(p, args)
  local lists, as_of = args[2], tonumber(args[3])
  local _, now_s = now_ms()
  for i = 1, #lists do
    local begun, edited = spread(redis.call('HMGET', p.meta, 'b:' .. byte(lists, i),
                                            'ge:' .. byte(lists, i)))
    if begun and tonumber(string.match(begun, '^%d+')) > as_of then
      return redis.error_reply('OLDER a newer snapshot of this list has begun')
    end
    if edited and as_of <= tonumber(edited) then
      return redis.error_reply('FORGOTTEN later removals of this list are not known any more')
    end
  end
  found_partition(p, now_s)
  begin_seals(p, lists)
  for i = 1, #lists do
    local code = byte(lists, i)
    redis.call('HSET', p.meta, 'b:' .. code, args[3] .. ':' .. args[4], 'm:' .. code, 0,
               'k:' .. code, 0, 'h:' .. code, p.history)
  end
  return {position_of(p), p.covered, tonumber(redis.call('HGET', p.meta, 'ever') or 0)}
end)

-- Tell whether all that a load has merged here is still there: every call has left its count.
local function has_all_calls(p, lists, calls)
  for i = 1, #lists do
    if redis.call('HGET', p.meta, 'k:' .. byte(lists, i)) ~= calls then return false end
  end
  return true
end

-- Store an image: its header is the position that the bits include, and history and seq of the
-- newest reset that they cover.
local function store_image(p, position, covers, bits)
  redis.call('SET', p.image, position .. covers .. bits)
  redis.call('HSET', p.meta, 'image', position .. covers)
end

-- Cover the lists of a load, and log a reset for each that was not covered.
local function cover(p, lists, as_of, at_ms)
  local covered = code_set(p.covered)
  for i = 1, #lists do
    local code = byte(lists, i)
    if not covered[code] then
      p.covered = p.covered .. char(code)
      append_log(p, pack_bare(OP_RESET, code, UNKNOWN, NO_PLACE, as_of, at_ms))
    end
    redis.call('HSET', p.meta, 'f:' .. code, as_of, 'w:' .. code, at_ms)
    redis.call('HDEL', p.meta, 'm:' .. code, 'k:' .. code, 'h:' .. code)
  end
end

-- finish: a partition has its snapshot: floor, coverage, and for a first load the image
-- and a reset, after which no process is fresh until it holds an image that covers it. A
-- rewound partition stays so until all its lists have been loaded from newer files.
--
--   ARGV[2]  lists;  ARGV[3]  as_of;  ARGV[4] nonce;  ARGV[5] mark seed
--   ARGV[6]  position 14 that the bits include;  ARGV[7] the filter's bytes
--   ARGV[8]  how many calls have merged something for it here;  ARGV[9] 'some' where only some
--            buckets were merged: that recovers nothing of what a rewound partition has lost
--   returns  {position 14}
register('finish', WRITES, {'log', 'image'}, function(p, args)
  local lists, as_of, included = args[2], tonumber(args[3]), args[6]
  local refusal = refuse_other(p, lists, args[3], args[4])
  if refusal then return refusal end
  local where = locate(p, included)
  if where == 'ahead' or where == 'branch' or not has_all_calls(p, lists, args[8]) then
    return redis.error_reply('PUTBACK an older state of the roster came back meanwhile')
  end
  p.seed = args[5]
  detect_rewind(p, '')
  local at_ms, now_s = now_ms()
  local is_current, ends = where == 'on_log', position_of(p)
  if args[9] ~= 'some' and recover(p, lists, as_of, now_s) then
    is_current = included == ends  -- else the bits lack what came since, and the log is gone
    included = position_of(p)
  end
  local seq = p.seq
  cover(p, lists, as_of, at_ms)
  if p.seq == seq then
    local is_last = included == position_of(p)
    append_log(p, pack_silent(NO_PLACE, as_of, at_ms))
    if is_last then included = position_of(p) end
  end
  redis.call('HSET', p.meta, 'covered', p.covered, 'seq', p.seq, 'mark', p.mark)
  if is_current then
    store_image(p, included, sub(position_of(p), 1, 10), args[7])
  else
    redis.call('DEL', p.image)
    redis.call('HDEL', p.meta, 'image')
  end
  redis.call('HDEL', p.meta, 'unlogged')  -- an older version's load counts in it while it compares
  count_write(p.meta)
  return {position_of(p)}
end)

-- uncover: these lists count as never loaded in full, until the next full file.
--
--   ARGV[2]  lists;  ARGV[3] mark seed 4
--   returns  {1 where one of them was covered}
register('uncover', ALWAYS, {'log'}, function(p, args)
  local gone, left, at_ms = code_set(args[2]), '', now_ms()
  for i = 1, #p.covered do
    if not gone[byte(p.covered, i)] then left = left .. sub(p.covered, i, i) end
  end
  count_write(p.meta)
  if left == p.covered then return {0} end
  p.seed = args[3]
  for code in pairs(gone) do redis.call('HDEL', p.meta, 'f:' .. code, 'w:' .. code) end
  append_log(p, pack_silent(NO_PLACE, at_ms, at_ms))
  redis.call('HSET', p.meta, 'covered', left, 'seq', p.seq, 'mark', p.mark)
  return {1}
end)

-- Drop the log's entries before a seq; returns how many.
local function trim_log(p, seq)
  return seq > 0 and redis.call('XTRIM', p.log, 'MINID', log_id(p.history, seq)) or 0
end

-- set_image: renew a partition's image where this one is newer and the log holds its mark.
--
--   ARGV[2]  position 14 that the bits include;  ARGV[3] the filter's bytes
--   ARGV[4]  trim the log up to this seq, at most the image's
--   returns  {1 where it was taken}
register('set_image', ALWAYS, {'log', 'image'}, function(p, args)
  local position, old = args[2], p.image_header
  if p.rewound or locate(p, position) ~= 'on_log' then return {0} end
  -- Where a first load has finished since these bits were read, they do not cover its reset.
  if old ~= '' and (is_after(old, position) or is_after(sub(old, 15), position)) then return {0} end
  store_image(p, position, sub(position, 1, 10), args[3])
  trim_log(p, min(tonumber(args[4]), from_u48(position, 5)))
  return {1}
end)

-- trim: drop the log's entries before a seq, at most those that the image includes.
--
--   ARGV[2]  seq
--   returns  how many were dropped
register('trim', ALWAYS, {'log'}, function(p, args)
  local header = p.image_header
  if header == '' or unpack('>I4', header) ~= p.history then return 0 end
  return trim_log(p, min(tonumber(args[2]), from_u48(header, 5)))
end)
