"""Every Redis key: its type, what it holds, and who writes it.

| key                     | type   | holds                                    | written by    |
| ----------------------- | ------ | ---------------------------------------- | ------------- |
| clearway:{NN}:b:BBBB    | hash   | records of a bucket, by field            | lua/          |
| clearway:{NN}:h:BBBB    | hash   | what happened to its people, by field;   | lua/          |
|                         |        | how they were before a load, by its nonce|               |
| clearway:{NN}:meta      | hash   | a partition's coverage, counts, digest   | lua/          |
| clearway:{NN}:log       | stream | every change of a partition, in order    | lua/          |
| clearway:{NN}:image     | string | a partition's filter, and its position   | lua/          |
| clearway:{NN}:forgotten | string | bits by which forgotten entries are known| lua/          |
| clearway:{NN}:seals     | string | digests of the rows that buckets are as  | lua/          |
| clearway:{NN}:audit     | stream | who asked, was answered, changed what    | audit.py      |
| clearway:{NN}:lost      | hash   | what a process remembers of a loss       | lost.py       |
| clearway:late           | hash   | late denials, by list and court          | audit.py      |
| clearway:roster         | string | the roster's id, made once               | founding.py   |
| clearway:scheme         | string | under which its tokens are made, so far  | founding.py   |
| clearway:courts         | hash   | court names, by their four bytes         | dictionary.py |
| clearway:loads          | hash   | files that were loaded, by number        | dictionary.py |
| clearway:load           | string | the one load that is under way           | lease.py      |
| clearway:lists          | hash   | lists that are disabled, and why         | disabled.py   |
| clearway:enabled        | hash   | lists that are disabled no more, each time| disabled.py  |
| clearway:processes      | hash   | live service processes, what they applied| processes.py  |
| clearway:{NN}:processes | hash   | the same on each server of a cluster     | processes.py  |
| clearway:keys           | hash   | API keys, hashed, by id                  | api_keys.py   |
| clearway:used           | hash   | when each API key was last used, by id   | api_keys.py   |
| clearway:decisions      | hash   | checks so far, by mode and decision      | counters.py   |
| clearway:lag            | hash   | removal lags of the last day, in buckets | counters.py   |
| clearway:renewal        | string | the lease for renewing and forgetting    | lease.py      |
| clearway:forgetting     | string | how far the daily round has come         | the service   |
| clearway:canary         | string | the lease of the canary                  | lease.py      |
| clearway:doorbell:ID    | channel| positions that are safe now, of roster ID| doorbell.py   |
| clearway:doorbell       | channel| the same of all rosters, for old versions| doorbell.py   |

NN is a partition, 00 to 63; BBBB a bucket in hexadecimal, 0000 to 03ff. The braces make
all keys of a partition share one cluster slot. The files of the last column lie in roster/storage/,
lua/ in roster/; the daily round is service/background/forgetting.py. Who reads them:
docs/architecture.md, Redis keys.
A token says in which partition and bucket its record is, and under which field.
"""

from __future__ import annotations

PARTITIONS = 64
BUCKETS = 1024
TOKEN_BITS = bytes((0, PARTITIONS - 1)) + (BUCKETS - 1).to_bytes(2) + b"\xff" * 12
"""Which bits of 16 bytes are a token's: of its partition, of its bucket, of its field."""
PARTITION = 1
"""Which of a token's bytes says its partition."""
FIELD = slice(4, len(TOKEN_BITS))
FIELD_BYTES = len(TOKEN_BITS[FIELD])

ROSTER = "clearway:roster"
SCHEME = "clearway:scheme"
COURTS = "clearway:courts"
LOADS = "clearway:loads"
LOAD = "clearway:load"
LISTS = "clearway:lists"
ENABLED = "clearway:enabled"
PROCESSES = "clearway:processes"
KEYS = "clearway:keys"
USED = "clearway:used"
DECISIONS = "clearway:decisions"
LAG = "clearway:lag"
RENEWAL = "clearway:renewal"
FORGETTING = "clearway:forgetting"
CANARY = "clearway:canary"
LATE = "clearway:late"
DOORBELL = "clearway:doorbell"

META = tuple(f"clearway:{{{partition:02d}}}:meta" for partition in range(PARTITIONS))
LOG = tuple(f"clearway:{{{partition:02d}}}:log" for partition in range(PARTITIONS))
AUDIT = tuple(f"clearway:{{{partition:02d}}}:audit" for partition in range(PARTITIONS))
LOST = tuple(f"clearway:{{{partition:02d}}}:lost" for partition in range(PARTITIONS))
PROCESSES_AT = tuple(f"clearway:{{{partition:02d}}}:processes" for partition in range(PARTITIONS))
IMAGE = tuple(f"clearway:{{{partition:02d}}}:image" for partition in range(PARTITIONS))
FORGOTTEN = tuple(f"clearway:{{{partition:02d}}}:forgotten" for partition in range(PARTITIONS))
SEALS = tuple(f"clearway:{{{partition:02d}}}:seals" for partition in range(PARTITIONS))


def doorbell(roster: bytes) -> str:
    """The channel of the roster with this id."""
    return f"{DOORBELL}:{roster.decode()}"


def place(token: bytes) -> tuple[int, int, bytes]:
    """A token's partition, bucket and field."""
    return token[PARTITION], token[2] << 8 | token[3], token[FIELD]


def bucket(partition: int, number: int) -> str:
    """The records of one bucket."""
    return f"clearway:{{{partition:02d}}}:b:{number:04x}"


def history(partition: int, number: int) -> str:
    """What happened to the people of one bucket."""
    return f"clearway:{{{partition:02d}}}:h:{number:04x}"
