"""Everything that the roster knows of one person, over all bound documents.

A binding holds while both documents name each other under the same entry id. It is followed
to its end, one round trip a step, for bound people only, and looked at once more.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from roster.errors import Unavailable
from roster.records.entry import BIND, State
from roster.rules.effects import MISTAKEN_IDENTITY
from service.deciding.lookups import DOCUMENTS_MAX, PersonRecords

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from roster.documents.identity import Token
    from roster.records.entry import Entry
    from roster.records.position import Position
    from roster.records.replies import Found
    from service.deciding.lookups import Lookups

READ_AGAIN_MAX = 4
"""Nobody's entries change so often."""


class _Read(NamedTuple):
    """Entries and look-ups by document, and whose they are together."""

    records: dict[bytes, list[Entry]]
    looked: dict[bytes, Found]
    members: set[bytes]
    complete: bool


async def read_person(
    lookups: Lookups,
    tokens: Sequence[Token],
    at_least: Mapping[int, Position],
) -> PersonRecords:
    """What is known of the person with this document, which may be stored under any of `tokens`.

    Of several documents, as all of them were at one moment: they lie in partitions that are
    read one after the other, and an entry may move from one document to another in between.
    So they are read until nothing has changed since they were read before. Raises
    Unavailable, WrongKey or Unreadable.
    """
    read = await _followed(lookups, tokens, at_least)
    for _ in range(READ_AGAIN_MAX):
        if len(read.looked) == 1:
            break
        again = await _asked(lookups, list(read.looked), at_least)
        if all(again[each].record == found.record for each, found in read.looked.items()):
            read = read._replace(looked=again)
            break
        read = await _followed(lookups, tokens, at_least)
    else:
        raise Unavailable("what is known of these documents has not stood still")
    under = next((token for token in tokens if read.records[token]), None)
    entries = _entries(read.records, read.members, tokens)
    return PersonRecords(entries, list(read.looked.values()), read.complete, under)


async def _followed(
    lookups: Lookups,
    tokens: Sequence[Token],
    at_least: Mapping[int, Position],
) -> _Read:
    """All that is bound to these documents, one round trip a step."""
    records: dict[bytes, list[Entry]] = {}
    looked: dict[bytes, Found] = {}
    members: set[bytes] = set(tokens)
    step: list[bytes] = list(tokens)
    complete = True
    while step and complete:
        found = await _asked(lookups, step, at_least)
        looked |= found
        for each, one in found.items():
            records[each] = await lookups.entries(one)
        members |= set(_bound(records, members))
        step = [other for each in members for other in _named(records.get(each, []))]
        step = sorted({other for other in step if other not in records})
        complete = len(members | set(step)) - len(tokens) < DOCUMENTS_MAX
    return _Read(records, looked, members, complete)


async def _asked(
    lookups: Lookups, tokens: Sequence[bytes], at_least: Mapping[int, Position]
) -> dict[bytes, Found]:
    async def one(token: bytes) -> Found:  # what is refused at once leaves no other unheard
        return await lookups.ask(token, at_least)

    found = await asyncio.gather(*map(one, tokens))
    return dict(zip(tokens, found, strict=True))


def _entries(
    records: dict[bytes, list[Entry]], members: set[bytes], asked: Sequence[Token]
) -> list[Entry]:
    """All documents' entries; a mistaken identity speaks for its own document only."""
    return [
        entry
        for each in sorted(members)
        for entry in records[each]
        if each in asked or entry.content.kind != MISTAKEN_IDENTITY
    ]


def _bindings(entries: list[Entry]) -> Iterator[Entry]:
    for entry in entries:
        if entry.list == BIND and entry.state is State.ACTIVE:
            yield entry


def _named(entries: list[Entry]) -> Iterator[bytes]:
    for binding in _bindings(entries):
        yield from binding.content.tokens


def _bound(records: dict[bytes, list[Entry]], members: set[bytes]) -> Iterator[bytes]:
    """The documents that members name and that name them back."""
    reached, pending = set(members), list(members)
    while pending:
        one = pending.pop()
        for binding in _bindings(records.get(one, [])):
            for other in binding.content.tokens:
                if other not in reached and _mutual(records.get(other, []), binding, one):
                    reached.add(other)
                    pending.append(other)
                    yield other


def _mutual(entries: list[Entry], binding: Entry, named: bytes) -> bool:
    return any(
        other.entry_hash == binding.entry_hash and named in other.content.tokens
        for other in _bindings(entries)
    )
