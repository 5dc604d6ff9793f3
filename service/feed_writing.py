"""A page of the feed, put together change by change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roster.cursor import Cursor, CursorWriter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roster.position import Position
    from service.feed_log import Kept


class PageWriter:
    """Takes entries as long as there is room; every change gets the position of where it ends."""

    def __init__(self, cursor: Cursor, limit: int) -> None:
        """At most `limit` changes, from `cursor` on."""
        self.changes: list[bytes] = []
        self._writer = CursorWriter(cursor)
        self._limit = limit
        self._places = list(cursor.places)
        self._begun = cursor.partition, cursor.told

    def take(self, kept: Kept, told: Sequence[bytes]) -> bool:
        """Whether there is room left behind this entry, which is told as these changes."""
        number = kept.place.partition
        begun = self._begun[1] if self._begun[0] == number and len(told) > 1 else 0
        room = self._limit - len(self.changes)
        for index, change in enumerate(told[begun : begun + room], begun):
            if index < len(told) - 1:
                self._begun = number, index + 1
            else:
                self._move(kept.place)
            self.changes.append(b'{"position":"%s",' % self._text() + change)
        if begun >= len(told):
            self._move(kept.place)
        return len(self.changes) < self._limit

    @property
    def cursor(self) -> Cursor:
        """Where the page ends."""
        return Cursor(tuple(self._places), *self._begun)

    @property
    def body(self) -> bytes:
        """The page as JSON."""
        text = self.cursor.text.encode()
        return b'{"changes":[%s],"position":"%s"}' % (b",".join(self.changes), text)

    def _move(self, place: Position) -> None:
        self._places[place.partition] = place
        self._writer.move(place)
        if self._begun[0] == place.partition:
            self._begun = 0, 0

    def _text(self) -> bytes:
        return self._writer.text(*self._begun).encode()
