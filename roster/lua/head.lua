#!lua name=clearway
-- The roster's atomic reads and writes, one library: roster/redis/calls.py joins these files. The
-- reasons: docs/architecture.md, The merge law; and docs/architecture.md, Fields of meta. Nothing
-- here orders strings with `<` (that is strcoll in the server's locale). Numbers stay below 2^53.

local VERSION = ''  -- roster/redis/calls.py puts a hash of the code here, and in the name above

local UNKNOWN, ACTIVE, SUSPENDED, REMOVED, ABSENT = 0, 1, 2, 3, 4
local PUT, REMOVE, SUSPEND, RESUME, DROP, RESET = 1, 2, 3, 4, 5, 6
local UNREADABLE, APPLIED, DUPLICATE, SUPERSEDED, UNSEEN = 0, 1, 2, 3, 4
local RESTRICTING_BELOW = 200
local CANARY = 202  -- counted nowhere, and without a history: it comes every few seconds
local HEADER = 19
local LOG_AT_ONCE = 256
local EVENT = 32
local NO_MARK = '\0\0\0\0'
local NO_DIGEST = '\0\0\0\0\0\0\0\0'
local NO_PLACE = '\0\0\0\0\0\0\0\0\0\0\0\0\0\0'
local NO_ROSTER = '\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0'
local FORGOTTEN_BITS = 1048576
local NOBODYS_SEQ = 281474976710655  -- no log ever gets there: no filter has read up to it
local BUCKETS, SEAL, NO_SEAL = 1024, 14, NO_PLACE
local NEVER = 281474976710655  -- no time is later
local OPS = {[ACTIVE] = PUT, [SUSPENDED] = SUSPEND, [REMOVED] = REMOVE, [ABSENT] = DROP}

-- The standard library is there only while a function runs, not while this file loads.
local max, min, floor, spread, pack, unpack, sub, byte, char, bxor
local function bind()
  if max then return end
  max, min, floor, spread = math.max, math.min, math.floor, _G.unpack
  pack, unpack = struct.pack, struct.unpack
  sub, byte, char = string.sub, string.byte, string.char
  bxor = bit.bxor
end

local function register(name, callback, flags)
  redis.register_function{function_name = name .. VERSION, flags = flags, callback = function(keys, args)
    bind()
    return callback(keys, args)
  end}
end
