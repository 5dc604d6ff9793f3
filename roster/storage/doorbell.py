"""The doorbell: what is safe now, told to every process at once, so that most need not ask.

Every roster has a channel of its own. A message there names the positions, says whether
somebody waits for all processes to have applied them, and whom the changes have left on a
list: they are in the filters before the logs are read. Versions that know of the one channel
of all rosters only are woken there without positions: they would take those of another roster
for their own.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from roster import keys
from roster.records.meta import Field
from roster.records.position import WIRE_BYTES, Position, from_wire

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roster.redis.nodes import Nodes

RING = f"""#!lua flags=allow-oom
local roster
if redis.call('TYPE', KEYS[1]).ok == 'hash' then
  roster = redis.call('HGET', KEYS[1], '{Field.ROSTER}')
  if not roster then return -1 end
else
  roster = redis.call('GET', KEYS[1])
  if not roster then return redis.call('PUBLISH', ARGV[1], ARGV[4]) end
end
local heard = redis.call('PUBLISH', ARGV[1] .. ':' .. roster, ARGV[2])
if ARGV[3] ~= '' then redis.call('PUBLISH', ARGV[1], ARGV[3]) end
return heard
"""
"""Rings for the roster that stands here now, in a partition or by itself; -1: not in this one."""

WAKE = b"\0"
"""What is heard on the channel of all rosters where a program of this version rings."""
_HEAD = struct.Struct(">BH")
_RUNG_BYTES = 1 + WIRE_BYTES
_TOKEN_BYTES = 16


class DoorbellMessage(NamedTuple):
    """One ring: of which positions (of none: everything), and what is to be done about them.

    `joining` are the tokens of people whom these changes have left on a list, or some of
    them; `wanted` says that somebody waits for the processes to say what they have applied.
    """

    positions: Sequence[Position]
    joining: Sequence[bytes] = ()
    wanted: bool = False

    @property
    def payload(self) -> bytes:
        """The message on the roster's own channel."""
        head = _HEAD.pack(self.wanted, len(self.positions))
        return head + self._places + b"".join(self.joining)

    @property
    def _places(self) -> bytes:
        """The positions alone, as older versions read them."""
        return b"".join(bytes((p.partition,)) + p.wire for p in self.positions)

    async def ring(self, nodes: Nodes, *, wake: bool) -> None:
        """Tell every process. `wake` is for older versions. Raises Unavailable.

        A cluster's servers tell one another, so any may ring: one that has just changed lives.
        """
        for key in (*(keys.META[place.partition] for place in self.positions[:1]), keys.ROSTER):
            arguments = (keys.DOORBELL, self.payload, WAKE if wake else b"", self._places)
            (rung,) = await nodes.keyed(key, [("EVAL", RING, 1, key, *arguments)])
            if rung >= 0:
                return


def parse(payload: bytes) -> DoorbellMessage:
    """What a message on the roster's own channel says."""
    flags, count = _HEAD.unpack_from(payload)
    behind = _HEAD.size + count * _RUNG_BYTES
    joining = [payload[at : at + _TOKEN_BYTES] for at in range(behind, len(payload), _TOKEN_BYTES)]
    return DoorbellMessage(_positions(payload[_HEAD.size : behind]), joining, wanted=bool(flags))


def parse_old(payload: bytes) -> DoorbellMessage | None:
    """What one on the channel of all rosters says; None where a program of this version rings.

    Whether anybody waits for them older versions do not tell.
    """
    return None if payload == WAKE else DoorbellMessage(_positions(payload), wanted=True)


def _positions(joined: bytes) -> list[Position]:
    chunks = (joined[at : at + _RUNG_BYTES] for at in range(0, len(joined), _RUNG_BYTES))
    return [from_wire(chunk[0], chunk[1:]) for chunk in chunks if len(chunk) == _RUNG_BYTES]
