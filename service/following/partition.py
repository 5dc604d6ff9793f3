"""One partition's filter, and which positions of which branch of the log it has read, and when.

After a rewind the same seq may name another change. Only a filter that has read the lost
position itself, mark and all, is a witness of what was lost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from roster.filter import TokenFilter
from roster.records.position import Position, to_text
from roster.records.replies import MARK_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from roster.records.replies import ImageHeader, Tail

BULK = 100
"""From so many tokens on numpy adds them sooner than one by one."""
MOST = 4_096
"""Entries of the log that are remembered at least: 40 kB, and twice as many at most."""
HISTORIES = 4
_SIZE = 10
_MARK, _AT = slice(6, 10), slice(34, 40)
"""Where mark and time stand in a log entry behind its seq."""


class _TrailPart:
    """A stretch of one history: mark 4 and time u48 of each position from `first` on."""

    def __init__(self, position: Position) -> None:
        self.history = position.history
        self.first = position.seq
        self.read = bytearray(position.mark + bytes(_SIZE - len(position.mark)))

    def at(self, position: Position) -> bytes:
        """Mark and time of what was read at this place; nothing where it was not."""
        if position.history != self.history or position.seq < self.first:
            return b""
        start = (position.seq - self.first) * _SIZE
        return bytes(self.read[start : start + _SIZE])

    def has(self, position: Position) -> bool:
        found = self.at(position)
        return bool(found) and found[:4] == position.mark

    def shorten(self) -> None:
        surplus = len(self.read) // _SIZE - MOST
        if surplus > MOST:
            del self.read[: surplus * _SIZE]
            self.first += surplus


class Trail:
    """The positions that one filter has read, the oldest forgotten in time."""

    def __init__(self, position: Position) -> None:
        """The filter includes `position`."""
        self._parts = [_TrailPart(position)]

    def start(self, position: Position) -> None:
        """Go on from here, in another history."""
        self._parts = [*self._parts[1 - HISTORIES :], _TrailPart(position)]

    def extend(self, logged: Iterable[bytes]) -> None:
        """Note these entries behind the last position, as `Tail.logged` has them."""
        part = self._parts[-1]
        part.read += b"".join(data[_MARK] + data[_AT] for data in logged)
        part.shorten()

    def has(self, position: Position) -> bool:
        """Whether this very position was read; False where that is not known any more."""
        return any(part.has(position) for part in self._parts)

    def applied_ms(self, position: Position) -> int:
        """When this position was applied, 0 where that is not known."""
        for part in self._parts:
            if part.has(position):
                return int.from_bytes(part.at(position)[4:])
        return 0

    def follow(self, older: Trail) -> None:
        """Count what the filter before this one has read, where this goes on from it."""
        mine = self._parts[0]
        for part in older._parts:
            start = (mine.first - part.first) * _SIZE
            same = part.history == mine.history and part.read[start : start + 4] == mine.read[:4]
            if start > 0 and same:
                mine.read[:0] = part.read[:start]
                mine.first = part.first
                return


class Partition:
    """One partition's filter, the position that it includes, and what the last poll said.

    `witnessed` is False where the filter has not read all that a rewound roster has lost,
    `known` where nothing has been read yet: then everybody may be listed. `changes` is how many
    have come since its image.
    """

    def __init__(self, token_filter: TokenFilter, position: Position) -> None:
        """A filter that includes everything up to `position`."""
        self.filter = token_filter
        self.image: ImageHeader | None = None
        self.covered: frozenset[int] = frozenset()
        self.rewound = False
        self.witnessed = True
        self.known = True
        self.trail = Trail(position)
        self.changes = 0.0
        self.move(position)

    @classmethod
    def unknown(cls, number: int) -> Self:
        """A partition of which nothing has been read: its filter clears nobody."""
        everybody = TokenFilter()
        everybody.bitarray.setall(1)
        partition = cls(everybody, Position(number, 0, 0, bytes(MARK_BYTES)))
        partition.known = False
        return partition

    def move(self, position: Position) -> None:
        """Note that the filter includes `position`."""
        self.position = position
        self.position_text = to_text([position])

    def outdated_by(self, tail: Tail) -> bool:
        """Whether it is to be made anew: the tail tells of another image, or of a reset."""
        return (tail.image is not None and tail.image != self.image) or self.reset_by(tail)

    def reset_by(self, tail: Tail) -> bool:
        """Whether it lacks people of a first load, of whom the log does not tell."""
        return not all(self._covers(reset) for reset in tail.resets)

    def take(self, tail: Tail) -> None:
        """Take in a tail that goes on from here."""
        joining = tail.joining
        if len(joining) < BULK:
            for token in joining:
                self.filter.add(token)
        else:
            self.filter.join_fields(b"".join(token[4:] for token in joining))
        if tail.logged:
            self.trail.extend(tail.logged)
            self.changes += tail.weight
            self.move(tail.last)
        self.note(tail)

    def go_on(self, tail: Tail) -> None:
        """Go on from a rewound log; the filter has all that is there now, and what it had."""
        if tail.continues:
            self.take(tail)
        else:
            self.trail.start(tail.position)
            self.move(tail.position)
            self.note(tail)
        self.image = tail.image  # another one than before is no reason to replace the filter

    def note(self, tail: Tail) -> None:
        """Remember what a tail says of the partition as a whole."""
        self.covered = frozenset(tail.covered)
        self.rewound = tail.rewound
        if tail.rewound and not (tail.lost and self.trail.has(tail.lost)):
            self.witnessed = False

    def _covers(self, reset: Position) -> bool:
        return self.image is not None and self.image.covers >= (reset.history, reset.seq)
