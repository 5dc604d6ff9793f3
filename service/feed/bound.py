"""Whom a change is about: one document, or all that are bound to it.

Whoever was refused by one of several bound documents hears of a change through any of them.
Records are looked up once for each entry and process, and only where there are bindings.
"""

from __future__ import annotations

import asyncio
import struct
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from roster.records.content import unpack_content
from roster.records.entry import BIND, Registers, State
from roster.records.record import split_record
from service.deciding.lookups import DOCUMENTS_MAX

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from roster.records.meta import Meta
    from roster.storage.store import Store
    from service.feed.log import FeedEntry, FeedLog

LOOKUPS_AT_ONCE = 128
_UNREADABLE = (struct.error, msgspec.MsgspecError, ValueError, IndexError, KeyError)


class Binding(NamedTuple):
    """A binding as one document has it: its entry id, and the documents that it names."""

    entry_id: str
    tokens: tuple[bytes, ...]
    holds: bool


Records = dict[bytes, list[Binding]]


class BindingFollower:
    """Finds out once for each entry whom it is about."""

    def __init__(self, store: Store, log: FeedLog) -> None:
        """`log` tells where bindings have been made since they were last counted."""
        self._store = store
        self._log = log
        self._counted: set[int] = set()
        self._counted_gaps = -1
        self._one = asyncio.Lock()

    async def find_about(self, entries: Sequence[FeedEntry]) -> None:
        """Find `about` of every one of these entries; raises Unavailable and WrongKey."""
        if all(kept.about is not None for kept in entries):
            return
        async with self._one:  # whoever comes second finds it done
            left = [kept for kept in entries if kept.about is None]
            with_bindings = await self._with_bindings()
            alone = [kept for kept in left if kept.partition not in with_bindings]
            for kept in alone:
                kept.about = (kept.entry.token,)
            await self._follow([kept for kept in left if kept.about is None])

    async def _with_bindings(self) -> set[int]:
        """Partitions in which there may be one."""
        gaps = self._log.gaps
        if self._counted_gaps != gaps:
            metas = enumerate(await self._store.metas())
            self._counted = {number for number, meta in metas if _has_bindings(meta)}
            self._counted_gaps = gaps
        return self._counted | self._log.binding

    async def _follow(self, entries: Sequence[FeedEntry]) -> None:
        records: Records = {}
        while entries:
            found = [_about(kept, records) for kept in entries]
            lacking = sorted({token for about in found for token in about if token not in records})
            for kept, about in zip(entries, found, strict=True):
                if all(token in records for token in about):
                    kept.about = tuple(about)
            await self._look_up(lacking, records)
            entries = [kept for kept in entries if kept.about is None]

    async def _look_up(self, tokens: Sequence[bytes], records: Records) -> None:
        for first in range(0, len(tokens), LOOKUPS_AT_ONCE):
            part = tokens[first : first + LOOKUPS_AT_ONCE]
            found = await self._store.lookup([(token, {}) for token in part], {})
            for token, one in zip(part, found, strict=True):
                records[token] = _bindings(one.record)


def _about(kept: FeedEntry, records: Mapping[bytes, list[Binding]]) -> list[bytes]:
    """The documents that an entry is about, its own first, as far as `records` tell.

    Those whose record is lacking are among them, to be looked up. A binding that was made or
    ended is about all that it names or named.
    """
    own = kept.entry.token
    found = dict.fromkeys([own, *_named(kept, records.get(own, []))])
    pending = list(found)
    while pending and len(found) < DOCUMENTS_MAX:
        one = pending.pop(0)
        for other in _partners(one, records):
            if other not in found:
                found[other] = None
                pending.append(other)
    return list(found)[:DOCUMENTS_MAX]


def _named(kept: FeedEntry, bindings: Iterable[Binding]) -> list[bytes]:
    if kept.list != BIND or kept.is_reset:
        return []
    with suppress(*_UNREADABLE):
        content = unpack_content(kept.entry.content, {})
        same = (each.tokens for each in bindings if each.entry_id == content.entry_id)
        return [token for tokens in (content.tokens, *same) for token in tokens]
    return []


def _partners(one: bytes, records: Mapping[bytes, list[Binding]]) -> list[bytes]:
    """Whom `one` names and who names it back, or who may."""
    return [
        other
        for binding in records.get(one, ())
        if binding.holds
        for other in binding.tokens
        if other not in records or _names(records[other], binding.entry_id, one)
    ]


def _names(bindings: Iterable[Binding], entry_id: str, named: bytes) -> bool:
    return any(
        each.holds and each.entry_id == entry_id and named in each.tokens for each in bindings
    )


def _bindings(record: bytes) -> list[Binding]:
    """A record's bindings; of one that cannot be read, none."""
    found = []
    with suppress(*_UNREADABLE):
        for packed in split_record(record):
            if packed.list == BIND:
                content = unpack_content(packed.content, {})
                holds = Registers(*packed.registers).state is State.ACTIVE
                found.append(Binding(content.entry_id, content.tokens, holds))
    return found


def _has_bindings(meta: Meta) -> bool:
    """Whether documents are, or were, bound here."""
    return any(meta.entries(BIND, state) for state in State)
