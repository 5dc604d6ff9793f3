"""The audit in pages, in order of time: what lies in all partitions' streams, put together.

A window of time is read from all of them and sorted. A page that ends within one goes on with the
same window, which nobody can add to any more. Each request is bounded in what it reads.
"""

from __future__ import annotations

import asyncio
import hmac
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Collection, Iterable
from hashlib import blake2b
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import msgspec

from roster.errors import PositionError
from roster.storage.audit import ORIGIN, StreamId, Window, between, window

if TYPE_CHECKING:
    from roster.redis.nodes import Nodes
    from roster.storage.audit import StoredBlock

FEWEST, MOST = 4, 64
"""Blocks that are read of each partition at once: more and more while little is found in them."""
ALONE = 16
"""Times as many where one partition is read alone."""
WORK_S = 0.3
TURN = 64
CURSOR_MAX = 200
_TAG_BYTES = 16
_LAST_SEQ = 2**64 - 1

RowKey: TypeAlias = tuple[int, ...]
AuditRow: TypeAlias = tuple[RowKey, Any]
"""What orders a row, and the row."""
_first = itemgetter(0)


class AuditCursor(msgspec.Struct, frozen=True, array_like=True):
    """Where to read on; `last` has been given of the window that ends before `upto`."""

    since: StreamId = ORIGIN
    upto: StreamId = ORIGIN
    last: RowKey = ()

    def text(self, key: bytes) -> str:
        """It as a text, sealed with the tokeniser's key: nobody else says what is read."""
        data = msgspec.msgpack.encode(self)
        return urlsafe_b64encode(_tag(data, key) + data).decode().rstrip("=")


def cursor_of(text: str, key: bytes) -> AuditCursor:
    """The cursor of a text that we gave; raises PositionError."""
    try:
        sealed = urlsafe_b64decode(text[:CURSOR_MAX] + "=" * (-len(text) % 4))
        data = sealed[_TAG_BYTES:]
        if hmac.compare_digest(_tag(data, key), sealed[:_TAG_BYTES]):
            return msgspec.msgpack.decode(data, type=AuditCursor)
    except (ValueError, msgspec.MsgspecError):
        pass
    raise PositionError("not a place in the audit")


def _tag(data: bytes, key: bytes) -> bytes:
    return blake2b(data, digest_size=_TAG_BYTES, key=key, person=b"cursor").digest()


class Search(NamedTuple):
    """What to read: of which partitions, from where, how many rows; `rows` makes them of a block.

    `stop_ms` is where nothing is left to be found, `single` whether the first row is all.
    """

    partitions: Collection[int]
    after: AuditCursor
    limit: int
    rows: Callable[[StoredBlock], Iterable[AuditRow]]
    stop_ms: int | None = None
    single: bool = False


class AuditPage(NamedTuple):
    """Rows, and where to go on; None where there are no more."""

    rows: list[Any]
    following: AuditCursor | None


async def page(nodes: Nodes, search: Search) -> AuditPage:
    """One page; it may be shorter than the limit, even empty, with more behind it.

    Raises Unavailable.
    """
    rows: list[AuditRow] = []
    cursor, until_s = search.after, time.monotonic() + WORK_S
    times = ALONE if len(search.partitions) == 1 else 1
    at_most = FEWEST * times
    while True:
        read = await _window(nodes, search.partitions, cursor, at_most)
        found = await _found(search, read, cursor)
        room = search.limit - len(rows)
        if len(found) > room:
            return _cut(rows, found, room, (cursor, read))
        rows += found
        if read.last or (search.single and rows):
            return _page(rows, None)
        cursor = AuditCursor(read.upto)
        if search.stop_ms is not None and cursor.since[0] > search.stop_ms:
            return _page(rows, None)
        if len(rows) == search.limit or time.monotonic() > until_s:
            return _page(rows, cursor)
        at_most = min(2 * at_most, MOST * times)


async def _window(
    nodes: Nodes, partitions: Collection[int], cursor: AuditCursor, at_most: int
) -> Window:
    if cursor.upto == ORIGIN:
        return await window(nodes, partitions, cursor.since, at_most)
    entries = await between(nodes, partitions, (cursor.since, cursor.upto), MOST * ALONE)
    return Window(entries, cursor.upto, last=False)


async def _found(search: Search, read: Window, cursor: AuditCursor) -> list[AuditRow]:
    """The rows of a window behind the cursor, sorted."""
    found: list[AuditRow] = []
    for at, entry in enumerate(read.entries, 1):
        found += search.rows(entry)
        if not at % TURN:
            await asyncio.sleep(0)
    return sorted((row for row in found if row[0] > cursor.last), key=_first)


def _cut(
    rows: list[AuditRow], found: list[AuditRow], room: int, at: tuple[AuditCursor, Window]
) -> AuditPage:
    """A page that ends within a window, which may not grow any more: so not with its last moment.

    That is read anew with the next page, unless it is all that there is.
    """
    cursor, read = at
    upto = read.upto
    if read.last:
        young = [row for row in found if _written(row) >= upto]
        if len(young) == len(found):
            ms, seq = max(map(_written, found))
            upto = ms, min(seq + 1, _LAST_SEQ)
        else:
            found = [row for row in found if _written(row) < upto]
    if len(found) <= room:
        return _page(rows + found, AuditCursor(upto))
    kept = found[:room]
    last = kept[-1][0] if kept else cursor.last
    return _page(rows + kept, AuditCursor(cursor.since, upto, last))


def _written(row: AuditRow) -> StreamId:
    """Where in its stream the row's block lies: before the end of what orders it."""
    return row[0][-3], row[0][-2]


def _page(rows: list[AuditRow], following: AuditCursor | None) -> AuditPage:
    return AuditPage([row for _, row in rows], following)
