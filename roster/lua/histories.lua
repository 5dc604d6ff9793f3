-- A person's own history: events with their size u16 before each, oldest first.

local EVENT_BYTES, TIME_AT, HISTORY_BYTES = 32, 24, 60000

-- Append an event; what is older than `keep_ms` goes, and what is over 60,000 bytes, or damaged.
local function append_event(events, event, at_ms, keep_ms)
  local from = 1
  while from <= #events do
    local size = from < #events and unpack('>I2', events, from) or 0
    if size < EVENT_BYTES or from + 1 + size > #events then  -- nobody can read on from here
      from = #events + 1
      break
    end
    local is_kept = from_u48(events, from + 2 + TIME_AT) >= at_ms - keep_ms
    if is_kept and #events - from < HISTORY_BYTES then break end
    from = from + 2 + size
  end
  return sub(events, from) .. pack('>I2', #event) .. event
end

-- Read the events of a field.
local function read_events(history, field) return redis.call('HGET', history, field) or '' end

-- Find where the events from `cutoff_ms` on begin; raises an error where they are damaged.
local function first_since(events, cutoff_ms)
  local from = 1
  while from <= #events and from_u48(events, from + 2 + TIME_AT) < cutoff_ms do
    from = from + 2 + unpack('>I2', events, from)
  end
  return from
end

-- purge: drop what is older from the people's own histories.
--
--   KEYS     history hashes of one partition
--   ARGV[1]  keep what happened from this time on
--   returns  how many people's were changed
register('purge', ALWAYS, nil, function(keys, args)
  local cutoff_ms, changed = tonumber(args[1]), 0
  for k = 1, #keys do
    local held = redis.call('HGETALL', keys[k])
    for i = 1, #held, 2 do
      local events = held[i + 1]
      local is_whole, from = pcall(first_since, events, cutoff_ms)
      if not is_whole then from = 1 end  -- what cannot be read stays
      if from > #events then
        redis.call('HDEL', keys[k], held[i])
      elseif from > 1 then
        redis.call('HSET', keys[k], held[i], sub(events, from))
      end
      if from > 1 then changed = changed + 1 end
    end
  end
  return changed
end)
