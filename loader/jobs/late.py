"""Denials that came too late for the removals that a load brought: counted, and in the audit."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from loader.jobs.session import Session
from loader.words.figures import LATE_NOT_FOUND
from roster.errors import ClearwayError
from roster.records.audited import DeniedLate
from roster.records.content import unpack_content
from roster.records.record import unpack_provenance
from roster.records.replies import LogEntry
from roster.storage.audit import count_late
from roster.storage.late import Removal, counted, documents, search

AFTER_S = 1.0
"""By then every process has written what it answered until the removals."""


def tell_late_denials(session: Session, endings: Sequence[LogEntry]) -> None:
    """Look up those of the removals that state when they were decided.

    The load is done: what Redis does not answer is left out.
    """
    time.sleep(AFTER_S)
    try:
        session.run(_tell(session, endings))
    except ClearwayError as exc:
        session.warn(LATE_NOT_FOUND, exc)


async def _tell(session: Session, endings: Iterable[LogEntry]) -> None:
    await session.dictionary.refresh()
    by_partition: dict[int, list[Removal]] = {}
    for entry in endings:
        removal = await _removal(session, entry)
        for partition in {token[1] for token in removal.tokens}:
            by_partition.setdefault(partition, []).append(removal)
    store, found = session.store, list[DeniedLate]()
    for partition, removals in by_partition.items():
        searched = await search(store, session.seal_key, partition, removals)
        found += searched.found
    await count_late(store.nodes, await counted(found, session.dictionary))
    await session.account.record_about((each.token, each) for each in found)


async def _removal(session: Session, entry: LogEntry) -> Removal:
    dictionary = session.dictionary
    provenance = unpack_provenance(entry.provenance, {})
    return Removal(
        await documents(session.store, entry.token, dictionary),
        session.lists.name(entry.list),
        unpack_content(entry.content, dictionary.courts).entry_id,
        provenance.decided_at_ms or 0,
        entry.applied_at_ms,
    )
