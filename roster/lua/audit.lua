-- Blocks of the audit of which nobody knows whether they were written: a plain XADD writes all others.

-- Drop the entries that begin with `id`, from one end of a stream, at most so many times so many;
-- true where all were looked at.
local function drop_block(stream, id, command, from, to, step, steps)
  for _ = 1, steps do
    local found = redis.call(command, stream, from, to, 'COUNT', step)
    for _, entry in ipairs(found) do
      if sub(entry[2][2], 1, #id) == id then redis.call('XDEL', stream, entry[1]) end
    end
    if #found < step then return true end
    from = '(' .. found[#found][1]
  end
  return false
end

-- write_again: write a block that may be there already; afterwards it is there once.
--
--   KEYS     the partition's audit
--   ARGV[1]  when it was sealed, less what clocks may lie apart, in ms
--   ARGV[2]  what it begins with, no other does;  ARGV[3] the field;  ARGV[4] the block
--   ARGV[5]  entries read at once;  ARGV[6] how many times at most, from either end
--   returns  the id of its entry
-- A try whose answer was lost lies where the block was sealed, one that a server had in its socket
-- while it stood still among the newest. What is between is not read where that is much: meanwhile
-- everybody else waits.
register('write_again', WRITES, nil, function(keys, args)
  local stream, since, id = keys[1], args[1], args[2]
  local step, steps = tonumber(args[5]), tonumber(args[6])
  if not drop_block(stream, id, 'XRANGE', since, '+', step, steps) then
    drop_block(stream, id, 'XREVRANGE', '+', since, step, steps)
  end
  return redis.call('XADD', stream, '*', args[3], args[4])
end)
