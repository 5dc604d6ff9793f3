"""Denials that came too late: given for an entry after its removal was decided, before it arrived.

They are looked for in the audit of the partitions in which the person's documents lie, once for
all removals that wait there: the way back may be weeks long.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from roster.errors import Unreadable
from roster.records.audited import AuditKind, Decided, DeniedLate, court_name, is_named
from roster.records.blocks import kinds_of, read
from roster.records.entry import BIND, State
from roster.records.record import parse_record
from roster.storage.audit import SKEW_MS, StoredBlock, next_blocks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roster.records.audited import AuditRecord
    from roster.records.entry import Entry
    from roster.storage.dictionary import Dictionary
    from roster.storage.store import Store

AT_ONCE = 64
"""Blocks that are read in one go."""
SCAN_MAX_BYTES = 256 * 1024 * 1024
SLACK_MS = 1_000
"""A denial is told as of when it was answered, which is after its look-up."""
FEW = 16
_WANTED = AuditKind.DECISION.bit | AuditKind.LATE.bit


class Removal(NamedTuple):
    """An entry's removal; `tokens` are of the documents that its person may have shown."""

    tokens: tuple[bytes, ...]
    list: str
    entry_id: str
    decided_at_ms: int
    applied_at_ms: int


class Searched(NamedTuple):
    """What was found, in how many bytes; `whole` is False where the bound was reached."""

    found: list[DeniedLate]
    size: int
    whole: bool


async def documents(store: Store, token: bytes, dictionary: Dictionary) -> tuple[bytes, ...]:
    """The token, and those of the documents that are bound to it. Raises Unavailable."""
    (found,) = await store.lookup([(token, {})], {})
    try:
        entries = await _entries(found.record, dictionary) if found.record else []
    except (KeyError, Unreadable):  # Redis has lost a court's name, or the record is damaged
        return (token,)
    bound = [e for e in entries if e.list == BIND and e.state is State.ACTIVE]
    return tuple(dict.fromkeys((token, *(each for e in bound for each in e.content.tokens))))


async def _entries(record: bytes, dictionary: Dictionary) -> list[Entry]:
    """A record's entries; courts that other processes have named since are read first."""
    with suppress(KeyError):
        return parse_record(record, dictionary.known)
    await dictionary.refresh()
    return parse_record(record, dictionary.known)


async def search(store: Store, key: bytes, partition: int, removals: Sequence[Removal]) -> Searched:
    """The late denials of these removals that this partition's audit has; raises Unavailable.

    Those that it already tells as late are left out, as is what is kept no longer.
    """
    sought = _Sought(partition, removals)
    kept_ms = max(each.applied_at_ms for each in removals) - store.keep_ms
    since_ms = max(min(each.decided_at_ms for each in removals), kept_ms) - SKEW_MS
    last, size = StoredBlock(partition, max(0, since_ms), 0, b""), 0
    while size <= SCAN_MAX_BYTES:
        entries = await next_blocks(store.nodes, last, AT_ONCE)
        for entry in entries:
            sought.look(entry.data, key)
        size += sum(len(entry.data) for entry in entries)
        if len(entries) < AT_ONCE:
            return Searched(sought.late(), size, whole=True)
        last = entries[-1]
        await asyncio.sleep(0)
    return Searched(sought.late(), size, whole=False)


async def counted(found: Sequence[DeniedLate], dictionary: Dictionary) -> Counter[tuple[str, str]]:
    """How many of them there are, by list and court; raises Unavailable.

    Courts that other processes have named since are read first.
    """
    if not all(is_named(each.court, dictionary.courts) for each in found):
        await dictionary.refresh()
    return Counter((each.list, court_name(each.court, dictionary.courts)) for each in found)


class _Sought:
    """Removals by what a denial of theirs would say, and what was found of them."""

    def __init__(self, partition: int, removals: Sequence[Removal]) -> None:
        self._partition = partition
        self._removals: dict[tuple[bytes, str, str], list[Removal]] = {}
        for each in removals:
            for token in each.tokens:
                if token[1] == partition:
                    name = token, each.list, each.entry_id
                    self._removals.setdefault(name, []).append(each)
        ids = {each.entry_id.encode() for each in removals}
        self._ids = ids if len(ids) <= FEW else set()
        self._found: dict[tuple[bytes, str, str], DeniedLate] = {}
        self._told: set[tuple[bytes, str, str]] = set()

    def look(self, data: bytes, key: bytes) -> None:
        """Note what a block has of them. One that is not sound says nothing."""
        unlike = self._ids and not any(each in data for each in self._ids)
        if unlike or not kinds_of(data) & _WANTED:
            return
        try:
            records = read(data, key, self._partition).records()
        except ValueError:
            return
        for at_ms, record in records:
            self._take(at_ms, record)

    def late(self) -> list[DeniedLate]:
        """Those that nobody has told yet."""
        return [each for name, each in self._found.items() if name not in self._told]

    def _take(self, at_ms: int, record: AuditRecord) -> None:
        if isinstance(record, DeniedLate):
            self._told.add((record.id, record.list, record.entry_id))
        if not isinstance(record, Decided) or not record.denied:
            return
        for why in record.reasons:
            for removal in self._removals.get((record.token, why.list, why.entry_id), ()):
                decided_ms, applied_ms = removal.decided_at_ms, removal.applied_at_ms
                if decided_ms <= at_ms <= applied_ms + SLACK_MS:
                    late = DeniedLate(
                        record.id,
                        record.key,
                        why.list,
                        why.entry_id,
                        why.court,
                        record.token,
                        at_ms,
                        decided_ms,
                        applied_ms,
                    )
                    self._found.setdefault((record.id, why.list, why.entry_id), late)
