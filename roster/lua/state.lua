-- The partition's state, as its callers change it.

-- acknowledge: this position is safe; for processes that miss the doorbell.
--
--   KEYS[1]  meta
--   ARGV[1]  stamp;  ARGV[2] position 14
--   returns  1
local function acknowledge(keys, args)
  local p, wrong = open(keys[1], args[1])
  if wrong then return wrong end
  if p.check and not is_foreign(p) and is_news(p, args[2]) then
    redis.call('HSET', keys[1], 'ack', args[2])
  end
  return 1
end

register('acknowledge', acknowledge, {'allow-oom'})

-- adopt: the partition says of which roster it is.
--
--   KEYS[1]  meta;  KEYS[2] forgotten;  KEYS[3] seals
--   ARGV[1]  stamp
--   returns  the roster's id, or '' where there is no partition yet
local function adopt(keys, args)
  local p, wrong = open(keys[1], args[1])
  if wrong then return wrong end
  if p.check then found(keys[1], keys[2], keys[3], p, 0) end
  return p.roster
end

register('adopt', adopt, {'allow-oom'})

-- accept: end `rewound`: what is stored is the roster from now on, in a new history. Also
-- where it is not rewound somebody has looked, which is noted.
--
--   KEYS[1]  meta;  KEYS[2] log;  KEYS[3] image
--   ARGV[1]  check
--   returns  {1 where it was rewound}
local function accept(keys, args)
  local meta, log = keys[1], keys[2]
  local p, wrong = open(meta, args[1])
  if wrong then return wrong end
  local at_ms, now_s = now_ms()
  if p.check then redis.call('HSET', meta, 'accepted', at_ms) end
  if p.rewound ~= '1' then return {0} end
  end_rewind(meta, log, p, now_s)
  redis.call('DEL', keys[3])
  redis.call('HDEL', meta, 'image', 'ack')
  return {1}
end

register('accept', accept, {'allow-oom'})

-- restored: an older state came back while nobody looked: it counts as rewound, without a
-- witness, and what was acknowledged until now as lost.
--
--   KEYS[1]  meta
--   ARGV[1]  check
--   returns  {1 where there is such a partition}
local function restored(keys, args)
  local p, wrong = open(keys[1], args[1])
  if wrong then return wrong end
  if not p.check then return {0} end
  local at_ms, now_s = now_ms()
  local next_history = max(p.history + 1, now_s)
  lose(p, nobodys(next_history), at_ms, p.covered)
  rewind(keys[1], p, next_history)
  write_lost(keys[1], p)
  return {1}
end

register('restored', restored, {'allow-oom'})

-- trim: drop the log's entries before a seq, at most those that the image includes.
--
--   KEYS[1]  meta;  KEYS[2] log
--   ARGV[1]  check;  ARGV[2] seq
--   returns  how many were dropped
local function trim(keys, args)
  local p, wrong = open(keys[1], args[1])
  if wrong then return wrong end
  if p.image == '' or unpack('>I4', p.image) ~= p.history then return 0 end
  local upto = min(tonumber(args[2]), from_u48(p.image, 5))
  return upto > 0 and redis.call('XTRIM', keys[2], 'MINID', id(p, upto)) or 0
end

register('trim', trim, {'allow-oom'})

-- settle: write something, so that WAIT has an offset to wait for.
--
--   KEYS[1]  meta
--   returns  {1}
local function settle(keys)
  wrote(keys[1])
  return {1}
end

register('settle', settle, {'allow-oom'})
