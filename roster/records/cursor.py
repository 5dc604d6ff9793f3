"""Where a reader of all the logs stands, and the texts that the feed gives for it.

A page's text has the form of every text of positions, all partitions in rising order, which
the version before gave and takes too. A change's own text is compact: a page has a thousand.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from roster.errors import PositionError
from roster.keys import PARTITIONS
from roster.records.position import COMPACT, Position, decoded, encoded, plain, rising

if TYPE_CHECKING:
    from collections.abc import Sequence

_LOW, _MORE = 0x7F, 0x80
_HISTORY_BYTES = _MARK_BYTES = 4


class Cursor(NamedTuple):
    """A place in every partition's log, by partition.

    An entry may be told as several changes. `given` are how many of the next entry of
    `partition` have been read.
    """

    places: tuple[Position, ...]
    partition: int = 0
    given: int = 0

    @property
    def text(self) -> str:
        """The text of a page that ends here."""
        return (
            CursorWriter(self).text(self.partition, self.given)
            if self.given
            else rising(self.places)
        )


class CursorWriter:
    """Writes the compact text of each place that a reader comes to."""

    def __init__(self, cursor: Cursor) -> None:
        """It stands at `cursor`."""
        histories = Counter(place.history for place in cursor.places)
        self._history = histories.most_common(1)[0][0]
        self._pieces = [self._piece(place) for place in cursor.places]

    def move(self, place: Position) -> None:
        """Go to this place in its partition."""
        self._pieces[place.partition] = self._piece(place)

    def text(self, partition: int = 0, given: int = 0) -> str:
        """The text of where it stands, `given` changes into the next entry of `partition`."""
        head = bytes((*COMPACT, partition, given)) + self._history.to_bytes(_HISTORY_BYTES)
        return encoded(head + b"".join(self._pieces))

    def _piece(self, place: Position) -> bytes:
        """Its number in LEB128 with whether another history follows, and the mark, if any."""
        other = place.history != self._history
        value = place.seq << 1 | other
        piece = bytearray()
        while value > _LOW:
            piece.append(value & _LOW | _MORE)
            value >>= 7
        piece.append(value)
        if other:
            piece += place.history.to_bytes(_HISTORY_BYTES)
        return bytes(piece) + (place.mark if place.seq else b"")


def from_feed(text: str) -> Cursor:
    """The cursor of a text that the feed gave; raises PositionError for any other."""
    data = decoded(text)
    if data[:1] == COMPACT:
        return _compact(data)
    places = plain(data)
    if [place.partition for place in places] != list(range(PARTITIONS)):
        raise PositionError("not a position of the feed")
    return Cursor(tuple(places))


def from_text(text: str) -> list[Position]:
    """The positions of any text that we handed out, by partition; raises PositionError."""
    data = decoded(text)
    return list(_compact(data).places) if data[:1] == COMPACT else sorted(plain(data))


def _compact(data: bytes) -> Cursor:
    try:
        partition, given = data[1:3]
        places, end = _places(data, int.from_bytes(data[3:7]))
    except (IndexError, ValueError) as exc:
        raise PositionError("this is not a position") from exc
    if end != len(data) or partition >= PARTITIONS:
        raise PositionError("this is not a position")
    return Cursor(tuple(places), partition, given)


def _places(data: bytes, common: int) -> tuple[Sequence[Position], int]:
    places, at = [], 3 + _HISTORY_BYTES
    for partition in range(PARTITIONS):
        value, at = _number(data, at)
        history, seq, mark = common, value >> 1, bytes(_MARK_BYTES)
        if value & 1:
            history, at = int.from_bytes(data[at : at + _HISTORY_BYTES]), at + _HISTORY_BYTES
        if seq:
            mark, at = data[at : at + _MARK_BYTES], at + _MARK_BYTES
        if seq >> 48 or len(mark) < _MARK_BYTES:
            raise ValueError(partition)
        places.append(Position(partition, history, seq, mark))
    return places, at


def _number(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while data[at] & _MORE:
        value |= (data[at] & _LOW) << shift
        shift, at = shift + 7, at + 1
    return value | data[at] << shift, at + 1
