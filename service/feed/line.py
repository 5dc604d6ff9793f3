"""The order in which this process has read the logs: the places of those who follow the feed live.

Who reads on from such a place gets what has been read since, with texts that were made once for
all. Any other cursor is looked up in every partition's stretch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from roster.records.cursor import Cursor, CursorWriter
from roster.records.position import COMPACT, decoded, encoded, rising

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roster.records.position import Position
    from service.feed.log import FeedEntry

LENGTH = 10_000
"""Who is further behind is no longer live."""
SLACK = 256
"""So many places are passed one by one; more would keep everything else waiting."""


class ArrivalOrder:
    """Entries in the order of their arrival; a number is how many of them have been passed."""

    def __init__(self, places: Sequence[Position]) -> None:
        """It starts where these places are, one in each partition."""
        self._kept: list[FeedEntry] = []
        self._numbers: dict[str, int] = {}
        self._texts: dict[int, str] = {}
        self._pages: dict[int, str] = {}
        self._first = self._walked = 0
        self._places = list(places)
        self._writer = CursorWriter(Cursor(tuple(places)))
        self._note()

    @property
    def end(self) -> int:
        """The number of who has passed everything."""
        return self._first + len(self._kept)

    def append(self, new: Sequence[FeedEntry]) -> None:
        """Add entries that have been read after all others."""
        self._kept += new
        if len(self._kept) > LENGTH + SLACK:
            self._forget(self.end - LENGTH)

    def find(self, text: str) -> int | None:
        """The number of a text that was given for a place on the line."""
        return self._numbers.get(text)

    def holds(self, number: int) -> bool:
        """Whether all that follows is still here."""
        return number >= self._first

    def after(self, number: int, count: int) -> Sequence[FeedEntry]:
        """At most so many entries that follow."""
        at = number - self._first
        return self._kept[at : at + count]

    def text(self, number: int) -> str:
        """The text of a change that ends there."""
        self._walk(number)
        return self._texts[number]

    def within(self, number: int, partition: int, given: int) -> str:
        """The text of so many changes into the next entry, which is of this partition."""
        data = decoded(self.text(number))
        return encoded(COMPACT + bytes((partition, given)) + data[3:])

    def page_text(self, number: int) -> str:
        """The text of a page that ends there; compact where others have gone on already."""
        self._walk(number)
        made = self._pages.get(number)
        if made is None:
            made = rising(self._places) if number == self._walked else self._texts[number]
            self._pages[number] = made
            self._numbers[made] = number
        return made

    def meet(self, cursor: Cursor) -> None:
        """Find whoever stands at `cursor` on the line from now on, if it is the end."""
        places = list(self._places)
        for kept in self._kept[self._walked - self._first :]:
            places[kept.partition] = kept.place
        if cursor.given or tuple(places) != cursor.places:
            return
        if self.end - self._walked > SLACK:
            self._forget(self.end)
        self.page_text(self.end)

    def _note(self) -> None:
        text = self._writer.text()
        self._texts[self._walked] = text
        self._numbers[text] = self._walked

    def _walk(self, number: int) -> None:
        for kept in self._kept[self._walked - self._first : number - self._first]:
            place = self._places[kept.partition] = kept.place
            self._writer.move(place)
            self._walked += 1
            self._note()

    def _forget(self, number: int) -> None:
        """Let the line begin there."""
        if self._walked < number:
            for kept in self._kept[self._walked - self._first : number - self._first]:
                self._places[kept.partition] = kept.place
            self._walked = number
            self._writer = CursorWriter(Cursor(tuple(self._places)))
            self._note()
        del self._kept[: number - self._first]
        for at in range(self._first, number):
            for texts in (self._texts, self._pages):
                self._numbers.pop(texts.pop(at, ""), None)
        self._first = number
