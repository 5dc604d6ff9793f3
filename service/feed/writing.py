"""A page of the feed, put together change by change; every change says where it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from roster.records.cursor import Cursor, CursorWriter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.feed.line import ArrivalOrder
    from service.feed.log import FeedEntry


class FeedPage(NamedTuple):
    """A page's JSON, and how many changes are in it."""

    body: bytes
    changes: int


class CursorSteps:
    """Goes on from any cursor; every text is made for this page alone."""

    def __init__(self, cursor: Cursor) -> None:
        """It stands at `cursor`."""
        self._writer = CursorWriter(cursor)
        self._places = list(cursor.places)
        self._begun = cursor.partition, cursor.given

    lost = False

    def begun(self, kept: FeedEntry) -> int:
        """How many changes of this next entry have been told."""
        return self._begun[1] if self._begun[0] == kept.partition else 0

    def within(self, kept: FeedEntry, given: int) -> str:
        """The text of so many changes into this next entry."""
        self._begun = kept.partition, given
        return self._writer.text(*self._begun)

    def after(self, kept: FeedEntry) -> None:
        """Go behind this entry."""
        place = self._places[kept.partition] = kept.place
        self._writer.move(place)
        if self._begun[0] == kept.partition:
            self._begun = 0, 0

    @property
    def text(self) -> str:
        """The text of a change that ends here."""
        return self._writer.text(*self._begun)

    @property
    def cursor(self) -> Cursor:
        """Where it stands."""
        return Cursor(tuple(self._places), *self._begun)

    @property
    def page_text(self) -> str:
        """The text of a page that ends here."""
        return self.cursor.text


class LineSteps:
    """Goes on from a place on the line, whose texts all readers share."""

    def __init__(self, line: ArrivalOrder, number: int) -> None:
        """It stands behind so many entries."""
        self._line = line
        self._number = number
        self._within = ""

    @property
    def lost(self) -> bool:
        """Whether the line does not reach back so far any more."""
        return not self._line.holds(self._number)

    def begun(self, _: FeedEntry) -> int:
        """None of the next entry has been told: such places are not on the line."""
        return 0

    def within(self, kept: FeedEntry, given: int) -> str:
        """The text of so many changes into this next entry."""
        self._within = self._line.within(self._number, kept.partition, given)
        return self._within

    def after(self, _: FeedEntry) -> None:
        """Go behind this entry."""
        self._number += 1
        self._within = ""

    @property
    def text(self) -> str:
        """The text of a change that ends here."""
        return self._line.text(self._number)

    @property
    def page_text(self) -> str:
        """The text of a page that ends here."""
        return self._within or self._line.page_text(self._number)


class PageWriter:
    """Takes entries as long as there is room for `limit` changes."""

    def __init__(self, steps: CursorSteps | LineSteps, limit: int) -> None:
        """The page begins where `steps` stands."""
        self.changes: list[bytes] = []
        self._steps = steps
        self._limit = limit

    def take(self, kept: FeedEntry, about: Sequence[bytes]) -> bool:
        """Whether there is room left behind this entry, which is told as these changes."""
        steps = self._steps
        begun = steps.begun(kept) if len(about) > 1 else 0
        last = len(about) - 1
        room = self._limit - len(self.changes)
        for index, change in enumerate(about[begun : begun + room], begun):
            if index < last:
                text = steps.within(kept, index + 1)
            else:
                steps.after(kept)
                text = steps.text
            self.changes.append(b'{"position":"%s",%s' % (text.encode(), change))
        if begun > last:
            steps.after(kept)
        return len(self.changes) < self._limit

    @property
    def lost(self) -> bool:
        """Whether there is no going on."""
        return self._steps.lost

    @property
    def page(self) -> FeedPage:
        """The page as it is now."""
        text = self._steps.page_text.encode()
        body = b'{"changes":[%s],"position":"%s"}' % (b",".join(self.changes), text)
        return FeedPage(body, len(self.changes))
