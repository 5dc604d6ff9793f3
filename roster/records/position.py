"""Positions: where in the logs of the partitions a state of the roster stands.

One position is partition, history, seq and mark (docs/architecture.md, Positions). As
text, up to 64 of them are base64url of 15 bytes each behind a version byte: opaque to clients, at
most 1.3 KiB.
What the feed gives is told apart from what other answers give: `cursor.py`.
"""

from __future__ import annotations

import base64
import binascii
import struct
from typing import TYPE_CHECKING, NamedTuple

from roster.errors import PositionError
from roster.keys import PARTITIONS

if TYPE_CHECKING:
    from collections.abc import Iterable

_ONE = struct.Struct(">BIHI4s")
_WIRE = struct.Struct(">IHI4s")
_VERSION = b"\x01"
COMPACT = b"\x02"
"""Begins the texts of `cursor.py` that are not of this form."""
NO_MARK = bytes(4)
"""Of a partition's beginning; elsewhere of a change that the log has no longer."""
WIRE_BYTES = 14
MARK_AT_BYTES = 6
ROSTER_BYTES = 16
"""Of a roster's id: hexadecimal digits."""
TEXT_LIMIT = 2048


class Position(NamedTuple):
    """A place in one partition's log; `mark` tells apart two changes with the same seq."""

    partition: int
    history: int
    seq: int
    mark: bytes

    @property
    def wire(self) -> bytes:
        """The 14 bytes that `lua/log.lua` reads and writes."""
        return _WIRE.pack(self.history, self.seq >> 32, self.seq & 0xFFFFFFFF, self.mark)

    def includes(self, other: Position) -> bool:
        """Whether it is at or past `other`, which is one of the same partition."""
        return (self.history, self.seq) >= (other.history, other.seq)


class HighWater(NamedTuple):
    """A position that is known to be safe, and what goes with it where it is known.

    `at_ms` is when it was applied, 0 where nobody can tell; `roster` is the id of the roster;
    `covered` are codes of the lists that were loaded in full then.
    """

    position: Position
    at_ms: int = 0
    roster: bytes = b""
    covered: bytes = b""

    @property
    def wire(self) -> bytes:
        """The bytes that `lua/rewinds.lua` reads: position, time, roster, lists."""
        roster = self.roster or bytes(ROSTER_BYTES)
        return self.position.wire + self.at_ms.to_bytes(MARK_AT_BYTES) + roster + self.covered


HighWaterMark = Position | HighWater
"""A high-water mark as it is handed to Redis: alone, or with what goes with it."""


def high_water_of(partition: int, data: bytes) -> HighWater:
    """The mark of its bytes, as `wire` makes them."""
    at = WIRE_BYTES + MARK_AT_BYTES
    at_ms = int.from_bytes(data[WIRE_BYTES:at])
    roster = data[at : at + ROSTER_BYTES]
    covered = data[at + ROSTER_BYTES :]
    return HighWater(from_wire(partition, data), at_ms, roster.strip(b"\0"), covered)


def from_wire(partition: int, data: bytes) -> Position:
    """The position that a Lua function sent."""
    history, high, low, mark = _WIRE.unpack_from(data)
    return Position(partition, history, high << 32 | low, mark)


def newest(positions: Iterable[Position]) -> list[Position]:
    """The newest of these positions in each partition, by partition."""
    found: dict[int, Position] = {}
    for position in positions:
        known = found.get(position.partition)
        if known is None or not known.includes(position):
            found[position.partition] = position
    return sorted(found.values())


def to_text(positions: Iterable[Position]) -> str:
    """The opaque text that stands for these positions, one a partition.

    Those of all partitions are in falling order: in rising order they are the feed's.
    """
    found = newest(positions)
    return _text(reversed(found) if len(found) == PARTITIONS else found)


def one_text(position: Position) -> str:
    """The text of `to_text` for one position, at a third of the cost."""
    return _text((position,))


def rising(positions: Iterable[Position]) -> str:
    """The text of a page of the feed that ends at these positions of all partitions."""
    return _text(sorted(positions))


def encoded(data: bytes) -> str:
    """The text of these bytes."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decoded(text: str) -> bytes:
    """The bytes of a text, not looked at yet; raises PositionError."""
    if len(text) > TEXT_LIMIT or not text.isascii():
        raise PositionError("this is not a position")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as exc:
        raise PositionError("this is not a position") from exc


def plain(data: bytes) -> list[Position]:
    """The positions of a decoded text, in its own order; raises PositionError."""
    if data[:1] != _VERSION or (len(data) - 1) % _ONE.size:
        raise PositionError("this is not a position")
    positions = [
        Position(partition, history, high << 32 | low, mark)
        for partition, history, high, low, mark in _ONE.iter_unpack(data[1:])
    ]
    if any(position.partition >= PARTITIONS for position in positions):
        raise PositionError("this is not a position")
    return positions


def _text(positions: Iterable[Position]) -> str:
    packed = (
        _ONE.pack(p.partition, p.history, p.seq >> 32, p.seq & 0xFFFFFFFF, p.mark)
        for p in positions
    )
    return encoded(_VERSION + b"".join(packed))
