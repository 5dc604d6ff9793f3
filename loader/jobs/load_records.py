"""What a load leaves on record of itself, and what the record says of the next one."""

from __future__ import annotations

import time
from collections.abc import Container, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from loader.jobs.crew import peak_bytes
from loader.jobs.intake import Intake
from loader.jobs.manifest import Manifest
from loader.jobs.reading import Options
from loader.jobs.report import LoadSummary
from loader.jobs.session import Session
from loader.partitions.diffs import join
from roster.errors import ClearwayError, LoadRefused
from roster.records.entry import Op, State
from roster.records.position import Position
from roster.records.record import unpack_provenance
from roster.records.replies import LogEntry
from roster.storage.account import who
from roster.storage.counters import BY_LOAD, CounterStore
from roster.storage.dictionary import Load, RefusedFile
from roster.storage.rewinds import rewound
from roster.storage.store import Store
from roster.times import format_ms

_ACTOR_MAX = 128
_AFTER_MS = 2
"""An undo's revisions are 1 ms after the last full file's."""
_ENDINGS = frozenset({Op.REMOVE, Op.ABSENT})
_LIMIT = 5_000
_WHY_MAX = 1_000


def begun(paths: Sequence[str], kind: str, now_ms: int, **more: Any) -> Load:  # noqa: ANN401 -- Load's
    """What goes on record of a load of these files that begins now."""
    actor = " ".join(Path(path).name for path in paths)[:_ACTOR_MAX]
    return Load(actor=actor, received_at_ms=now_ms, kind=kind, who=who(), **more)


def refused(name: str, manifest: Manifest, now_ms: int, why: str, known: Container[str]) -> Load:
    """What goes on record of a file that was refused; lists that are not known are left out."""
    lists = tuple(each for each in manifest.lists or () if each in known)
    return replace(
        begun((name,), "refused", now_ms),
        applied_at_ms=now_ms,
        refused=RefusedFile(why[:_WHY_MAX], lists, _as_of(manifest)),
    )


def _as_of(manifest: Manifest) -> int | None:
    try:
        return manifest.as_of_ms
    except LoadRefused:
        return None


def last_of(lists: Sequence[str], loads: Mapping[int, Load]) -> int | None:
    """The last load, done or not, that may have touched one of these lists; None: there is none.

    `loads` are the last first.
    """
    touching = (
        number
        for number, load in loads.items()
        if not load.kind or not set(lists).isdisjoint(load.lists)
    )
    return next(touching, None)


def is_same(load: Load, before: Load) -> bool:
    """Whether a load would bring what one before it, which is done, has brought."""
    identities = [
        (*sorted(each.lists), each.as_of, each.partial, _read(each)) for each in (load, before)
    ]
    return bool(load.files) and before.applied_at_ms is not None and identities[0] == identities[1]


def _read(load: Load) -> list[tuple[bytes, str, str]]:
    return sorted((file.sha256, file.format, file.encoding) for file in load.files)


def undone_by(number: int, loads: Mapping[int, Load]) -> int | None:
    """The number under which a load was undone, or was begun to be."""
    return next((each for each, load in loads.items() if load.undoes == number), None)


def as_of_after(record: Load, loads: Mapping[int, Load]) -> int:
    """As of when a file counts that is to be loaded on this record.

    One as of the very time that an undo went against counts as of just after the undo, so that it
    speaks for what that wrote, too. Raises LoadRefused for the very file that was undone.
    """
    as_of = record.as_of or 0
    for number, load in loads.items():
        if load.kind == "load" and is_same(record, load) and undone_by(number, loads):
            raise LoadRefused(
                f"this is what load {number} was of, which was undone: load the right file, or "
                "state a later --as-of"
            )
    undos = {
        load.as_of
        for load in loads.values()
        if load.kind == "undo" and not set(record.lists).isdisjoint(load.lists)
    }
    while as_of in undos and not record.partial:
        as_of += _AFTER_MS
    return as_of


def nothing_to_do(
    session: Session, options: Options, intake: Intake, as_of: int
) -> LoadSummary | None:
    """What is said of a load that has been done already; None: there is something to do."""
    began_s = time.monotonic()
    partial = options.partial
    wanted = Load(actor="", received_at_ms=0, lists=intake.lists, as_of=as_of, partial=partial)
    last = _last(session, intake, wanted)
    if last is None:
        return None
    if options.diff is not None:
        join((), options.diff)
    return LoadSummary(
        dry_run=False,
        as_of=format_ms(as_of),
        same_as=last,
        seconds=round(time.monotonic() - began_s, 3),
        peak_bytes=peak_bytes(),
    )


def _last(session: Session, intake: Intake, wanted: Load) -> int | None:
    """The load that has brought the same. Only where it may be are the files hashed."""
    loads = session.run(session.dictionary.all_loads())
    for number, load in loads.items():
        same = (load.as_of, load.partial) == (wanted.as_of, wanted.partial) and load.files
        if not same or (wanted.lists and sorted(wanted.lists) != sorted(load.lists)):
            continue
        if last_of(load.lists, loads) != number or not _stands(session, load):
            return None
        asked = replace(wanted, lists=load.lists, files=intake.hashed())
        return number if is_same(asked, load) else None
    return None


def _stands(session: Session, load: Load) -> bool:
    """Whether what the load has brought is the last that was loaded, in every partition."""
    metas = session.run(session.store.metas())
    known = session.lists.ids
    if rewound(metas) or load.applied_at_ms is None or not known.keys() >= {*load.lists}:
        return False
    stamp = (load.as_of, load.nonce)
    codes = () if load.partial else [known[name].code for name in load.lists]
    return all(
        meta.begun(code) == stamp and code in meta.covered for meta in metas for code in codes
    )


async def count_lags(
    store: Store, begun: Iterable[Position], received_at_ms: int
) -> list[LogEntry]:
    """The removals that say when they were decided, of those that the logs hold behind these.

    All of them are counted, by how late they came.

    A list's first load writes no log, so it counts nothing. What the API removed meanwhile
    has been counted by the service and is left out.
    """
    counters, now_ms = CounterStore(store.nodes), time.time_ns() // 1_000_000
    decided: list[LogEntry] = []
    for position in begun:
        for entry in await _behind(store, position):
            if entry.op not in _ENDINGS or entry.was is not State.ACTIVE:
                continue
            provenance = unpack_provenance(entry.provenance, {})
            if provenance.source == "api":
                continue
            since = {"service": received_at_ms}
            if provenance.decided_at_ms is not None:
                since["source"] = provenance.decided_at_ms
                decided.append(entry)
            for leg, since_ms in since.items():
                lag_ms = max(0, entry.applied_at_ms - since_ms)
                counters.lagged(leg, lag_ms, now_ms)
                counters.lagged(BY_LOAD + leg, lag_ms, now_ms)
    await counters.flush(now_ms)
    return decided


async def _behind(store: Store, position: Position) -> list[LogEntry]:
    """The log behind a position, or nothing where it no longer reaches back to it."""
    found: list[LogEntry] = []
    try:
        while True:
            tail = await store.log(position, _LIMIT)
            found += tail.entries
            if not tail.continues or not tail.logged:
                return found
            position = tail.last
    except ClearwayError:  # the load is done; a figure less harms nobody
        return found
