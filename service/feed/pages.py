"""Pages of the feed as JSON: whole changes for maintainers, pseudonyms for carriers.

A change is written once for all maintainers, and a page once for all who stand at one place
with one key; long ones in slices, between which everything else has its turn.
"""

from __future__ import annotations

import struct
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from roster.documents.identity import Token
from roster.records.content import unpack_content
from roster.records.cursor import from_feed
from roster.records.entry import CANARY, Op
from roster.records.record import unpack_provenance
from roster.times import format_ms
from service.deciding.answers import op_name, time_or_null
from service.feed.bound import BindingFollower
from service.feed.reader import SharedWork
from service.feed.writing import CursorSteps, FeedPage, LineSteps, PageWriter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roster.documents.tokeniser import Tokeniser
    from roster.records.cursor import Cursor
    from roster.records.replies import LogEntry
    from roster.rules.restrictions import Lists
    from roster.storage.dictionary import Dictionary
    from roster.storage.store import Store
    from service.feed.line import ArrivalOrder
    from service.feed.log import FeedEntry, FeedLog
    from service.feed.reader import EntryReader

COUNT_LEAST, COUNT_MOST = 16, 1_024
"""How many entries are read at once: more where what was read is nobody's business."""
PREPARED_AT_ONCE = 64
MADE_BYTES = 4 * 1024 * 1024
"""How much of made pages is kept for others who stand at the same place."""
SUBJECTS = 16_384
_UNREADABLE = (struct.error, msgspec.MsgspecError, ValueError, IndexError, KeyError)
_encode = msgspec.json.Encoder().encode


class View(NamedTuple):
    """How much somebody sees: at most `limit` changes, whole ones or as `key_id` knows people."""

    limit: int
    key_id: str | None

    def shows(self, kept: FeedEntry) -> bool:
        """Whether an entry is any of this caller's business."""
        return kept.list != CANARY and (self.key_id is None or not kept.is_reset)


class Writer:
    """Writes entries as JSON, each but for its position: whole ones, and pseudonyms."""

    def __init__(self, tokeniser: Tokeniser, lists: Lists, dictionary: Dictionary) -> None:
        """What an entry refers to is looked up in `lists` and `dictionary`."""
        self._lists = lists
        self._dictionary = dictionary

        @lru_cache(maxsize=SUBJECTS)
        def subject(key_id: str, token: bytes) -> bytes:
            return b'"subject":"%s"}' % tokeniser.subject(key_id, Token(token)).encode()

        self.subject = subject

    async def write(self, entries: Sequence[FeedEntry]) -> None:
        """Write entries for maintainers; what they refer to is read first, where not known."""
        read = False
        for kept in entries:
            entry = kept.entry
            details = self._details(entry)
            if details is None and not read:
                await self._dictionary.refresh()
                details, read = self._details(entry), True
            kept.shown = _encode(self._head(entry) | (details or {}))[1:]

    def _head(self, entry: LogEntry) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "op": op_name(entry.op, entry.list),
            "list": self._lists.name(entry.list),
            "revision": entry.revision,
            "applied_at": format_ms(entry.applied_at_ms),
        }
        whose = {"entry_id": None, "token": entry.token.hex()}
        return shown if entry.op is Op.RESET else shown | whose

    def _details(self, entry: LogEntry) -> dict[str, Any] | None:
        """What content and provenance say; None where they cannot be read, or not yet."""
        known = self._dictionary.known
        if entry.op is Op.RESET:
            return {}
        try:
            content = unpack_content(entry.content, known.courts)
            provenance = unpack_provenance(entry.provenance, known.loads)
        except _UNREADABLE:
            return None
        if provenance.source == "load" and not provenance.actor:
            return None
        return {
            "entry_id": content.entry_id,
            "reason": provenance.reason or None,
            "decided_at": time_or_null(provenance.decided_at_ms),
            "received_at": time_or_null(provenance.received_at_ms),
            "actor": provenance.actor,
        }


class Pages:
    """Makes the pages of one process."""

    def __init__(self, store: Store, log: FeedLog, reader: EntryReader, writer: Writer) -> None:
        """Entries come from `reader`; whom they are about `store` knows."""
        self._log = log
        self._reader = reader
        self._writer = writer
        self._turns = log.turns
        self._bound = BindingFollower(store, log)
        self._shared = SharedWork()
        self._made: dict[tuple[str, View], FeedPage] = {}
        self._made_of = -1

    def has_none(self, text: str) -> bool:
        """Whether nothing follows a position, as far as can be said at once."""
        line = self._log.line
        return line is not None and line.find(text) == line.end and self._log.complete

    async def page(self, text: str, view: View) -> FeedPage:
        """What follows a position of the feed; no change where that is its end now.

        Raises PositionError, LogTrimmed, Unavailable and WrongKey.
        """
        version, size = self._log.version, sum(len(page.body) for page in self._made.values())
        if self._made_of != version or size > MADE_BYTES:
            self._made, self._made_of = {}, version
        made = self._made.get((text, view))
        if made is None:
            what = text, view, version
            made = await self._shared.do(what, lambda: self._page(text, view))
            if made.changes and self._made_of == version:
                self._made[text, view] = made
        return made

    async def _page(self, text: str, view: View) -> FeedPage:
        line = self._log.line
        number = line.find(text) if line is not None and self._log.complete else None
        if line is not None and number is not None:
            page = await self._live(line, number, view)
            if page is not None:
                return page
        return await self._from(from_feed(text), view)

    async def _live(self, line: ArrivalOrder, number: int, view: View) -> FeedPage | None:
        """A page of what has been read since; None where too much has been meanwhile."""
        count = max(COUNT_LEAST, view.limit)
        while True:
            read = line.after(number, count)
            steps = LineSteps(line, number)
            writer = PageWriter(steps, view.limit)
            await self._fill(writer, read, view)
            if steps.lost:
                return None
            if writer.changes or not read:
                return writer.page
            number += len(read)

    async def _from(self, cursor: Cursor, view: View) -> FeedPage:
        """A page from any cursor, out of memory or out of Redis."""
        count = max(COUNT_LEAST, view.limit)
        while True:
            read = await self._reader.entries(list(cursor.places), count)
            if cursor.given:  # what has been begun is ended first
                read.sort(key=lambda kept: kept.partition != cursor.partition)
            steps = CursorSteps(cursor)
            writer = PageWriter(steps, view.limit)
            await self._fill(writer, read, view)
            cursor = steps.cursor
            if writer.changes or not read:
                if self._log.line is not None and self._log.complete:
                    self._log.line.meet(cursor)
                return writer.page
            count = min(2 * count, COUNT_MOST)

    async def _fill(self, writer: PageWriter, read: Sequence[FeedEntry], view: View) -> None:
        since = time.perf_counter()
        for first in range(0, len(read), PREPARED_AT_ONCE):
            part = read[first : first + PREPARED_AT_ONCE]
            if view.key_id is None:
                await self._writer.write([kept for kept in part if kept.shown is None])
            else:
                await self._bound.find_about([kept for kept in part if view.shows(kept)])
            for kept in part:
                if writer.lost or not writer.take(kept, self._told(kept, view)):
                    self._turns.charge(time.perf_counter() - since)
                    return
                since = await self._turns.breathe(since)
        self._turns.charge(time.perf_counter() - since)

    def _told(self, kept: FeedEntry, view: View) -> Sequence[bytes]:
        """The changes that an entry is told as, each but for its position."""
        if not view.shows(kept):
            return ()
        if view.key_id is None:
            return (kept.shown,) if kept.shown else ()
        return [self._writer.subject(view.key_id, token) for token in kept.about or ()]
