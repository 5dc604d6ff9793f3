-- The partition's state: read from `meta` when a function begins.

local function now_ms()
  local t = redis.call('TIME')
  return t[1] * 1000 + floor(t[2] / 1000), tonumber(t[1])
end

-- What a rewound partition has lost: the furthest position known to be safe, when it was
-- applied, the lists that were covered then, and the end of the log that was left. A version
-- that does not know of these has left none, or those of an earlier rewind.
local function open_lost(meta, p)
  p.lost, p.lost_ms, p.lost_lists, p.kept = '', 0, '', NO_PLACE
  if p.rewound ~= '1' then return end
  local m = redis.call('HMGET', meta, 'lost', 'lost_ms', 'lost_lists', 'kept', 'lost_in')
  if tonumber(m[5] or 0) ~= p.history then return end
  p.lost, p.lost_ms, p.lost_lists, p.kept = m[1], tonumber(m[2]), m[3], m[4]
end

-- `stamp` is the check value of the ID key and, where the caller knows it, the roster's id.
local function open(meta, stamp)
  local m = redis.call('HMGET', meta, 'check', 'history', 'seq', 'mark', 'covered', 'rewound',
                       'image', 'ack', 'roster', 'sealed')
  local p = {check = m[1], history = tonumber(m[2] or 0), seq = tonumber(m[3] or 0),
             mark = m[4] or NO_MARK, covered = m[5] or '', rewound = m[6] or '0',
             image = m[7] or '', ack = m[8] or '', roster = m[9] or '', sealed = m[10], stamp = stamp}
  if p.check and p.check ~= sub(stamp, 1, 8) then
    return nil, redis.error_reply('WRONGKEY the roster was loaded with another ID key')
  end
  open_lost(meta, p)
  return p
end

-- From the start there are `forgotten` and `seals`, be they empty: while a cluster moves the
-- partition, a call that names a key which is not there is refused.
local function found(meta, forgotten, seals, p, now_s)
  local named = sub(p.stamp, 9)
  if not p.sealed then
    redis.call('SET', seals, '', 'NX')
    redis.call('HSET', meta, 'sealed', '')
    p.sealed = ''
  end
  if not p.check or (named ~= '' and p.roster == '') then
    redis.call('SET', forgotten, '', 'NX')
  end
  if named ~= '' and p.roster == '' then
    redis.call('HSET', meta, 'roster', named)
    p.roster = named
  end
  if p.check then return end
  p.check, p.history = sub(p.stamp, 1, 8), max(p.history + 1, now_s)
  redis.call('HSET', meta, 'check', p.check, 'history', p.history, 'seq', 0, 'mark', NO_MARK)
end
