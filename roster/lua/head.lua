#!lua name=clearway
-- The roster's atomic reads and writes, one library: roster/redis/calls.py joins these files. The
-- reasons: docs/architecture.md, The merge law; and docs/architecture.md, Fields of meta.
--
-- `p` is the partition as the call found it, `e` an entry, `inc` what comes in: a change or a row.
-- A `place` is a bucket's number u16 and a record's field 12. Times are ms since 1970, positions
-- 14 bytes (history u32, seq u48, mark 4), sets of lists their codes, a byte each. Nothing here
-- orders strings with `<` (that is strcoll in the server's locale). Numbers stay below 2^53.

local VERSION = ''  -- roster/redis/calls.py puts a hash of the code here, and in the name above

local UNKNOWN, ACTIVE, SUSPENDED, REMOVED, ABSENT = 0, 1, 2, 3, 4  -- states
local OP_PUT, OP_REMOVE, OP_SUSPEND, OP_RESUME, OP_ABSENT, OP_RESET = 1, 2, 3, 4, 5, 6
local UNREADABLE, APPLIED, DUPLICATE, SUPERSEDED, UNSEEN = 0, 1, 2, 3, 4  -- outcomes
local ROW_ADDED, ROW_CHANGED, ROW_ENDED, ROW_UNCHANGED, ROW_SUPERSEDED = 1, 2, 3, 4, 5  -- fates
local RESTRICTING_BELOW = 200
local CANARY = 202  -- counted nowhere, and without a history: it comes every few seconds
local NO_MARK = '\0\0\0\0'
local NO_PLACE = '\0\0\0\0\0\0\0\0\0\0\0\0\0\0'
local BUCKETS = 1024
local AT_ONCE = 200  -- fields that one HMGET or HSET names

local WRITES, ALWAYS, READS = {}, {'allow-oom'}, {'no-writes'}

-- The standard library is there only while a function runs, not while this file loads.
local max, min, trunc, spread, pack, unpack, sub, byte, char, bxor
local function bind()
  if max then return end
  max, min, trunc, spread = math.max, math.min, math.floor, _G.unpack
  pack, unpack = struct.pack, struct.unpack
  sub, byte, char = string.sub, string.byte, string.char
  bxor = bit.bxor
end
