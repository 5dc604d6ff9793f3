"""Undoes a load: what it ended or removed is put back, what it added is removed."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from msgspec.structs import replace

from loader.jobs import undo_plan
from loader.jobs.load_records import undone_by
from loader.jobs.reading import OnProgress
from loader.jobs.session import Session, uptake_notes
from loader.jobs.undo_plan import (
    CHANGED_BACK,
    PUT_BACK,
    REMOVED,
    Step,
    UndoTerms,
    chained,
    state_of,
    step,
)
from loader.jobs.undo_report import STAYS, StepWriter, Undone
from roster.errors import Unavailable
from roster.keys import PARTITIONS
from roster.records.change import Change
from roster.records.entry import Outcome
from roster.records.record import PackedEntry
from roster.records.replies import Applied, Refusal
from roster.storage.dictionary import Load
from roster.storage.histories import UndoNote, records, uncover, undo_notes

AT_ONCE = 512
"""Changes that are sent in one go: eight calls."""
KEPT = 100_000
"""So many steps of the second pass are kept from the first; others are read again."""
_FREES, _BINDS = frozenset({REMOVED}), frozenset({PUT_BACK, CHANGED_BACK})
_DID = {PUT_BACK: "added", CHANGED_BACK: "changed", REMOVED: "ended", STAYS: "unchanged"}
Apply = Callable[[Sequence[Change]], list[Applied | Refusal]]
_DONE = frozenset({Outcome.APPLIED, Outcome.DUPLICATE})


class Undoing:
    """One undo of one load; done again, it completes what was begun."""

    def __init__(
        self, session: Session, number: int, on_progress: OnProgress, write: StepWriter
    ) -> None:
        """`on_progress` hears of progress, `write` of every entry."""
        self._session = session
        self._number = number
        self._on_progress = on_progress
        self._write = write
        self._counts: Counter[tuple[int, str]] = Counter()
        self._kept: dict[int, list[Step]] = {}
        self._late = 0
        self._began_s = time.monotonic()

    def run(self, *, dry_run: bool) -> Undone:
        """What was undone, or would be; raises LoadRefused, and nothing is changed then."""
        session = self._session
        if not dry_run:
            session.take_lease()
        session.run(session.dictionary.refresh())
        loads = session.run(session.dictionary.all_loads())
        load = undo_plan.undoable(self._number, loads, session.settings.audit_days)
        known = undone_by(self._number, loads)
        metas = session.run(session.store.metas())
        floors = undo_plan.floors(metas, [rule.code for rule in session.lists.all])
        now_ms = time.time_ns() // 1_000_000
        number = known or session.run(session.dictionary.next_load())
        undoing = UndoTerms(number, floors, now_ms)
        if dry_run or (known is not None and loads[known].applied_at_ms is not None):
            self._pass(load, undoing, _FREES | _BINDS, None)
        else:
            new = undo_plan.record(self._number, load, undoing, session.lists)
            record = new if known is None else loads[known]
            self._undo(load, undoing, record, is_new=known is None)
        return self._undone(load, None if dry_run and known is None else number, dry_run=dry_run)

    def _undo(self, load: Load, undoing: UndoTerms, record: Load, *, is_new: bool) -> None:
        """First what frees people; every process hears of that before the rest is done."""
        session = self._session
        wait = session.wait()
        if is_new:
            session.open_load(undoing.number, record)
        if load.first:
            codes = [session.lists.ids[name].code for name in load.first]
            session.run(uncover(session.store, codes, wait))
        for whats in (_FREES, _BINDS):
            self._pass(
                load,
                undoing,
                whats,
                lambda changes: session.run(session.store.apply_each(changes, wait)),
            )
            session.publish()
        self._late = session.close_load(undoing.number, replace(record, did=self._did()))

    def _pass(
        self, load: Load, undoing: UndoTerms, whats: frozenset[str], apply: Apply | None
    ) -> None:
        for partition in range(PARTITIONS):
            steps = self._planned(partition, load, undoing, whats)
            done = steps if apply is None else self._applied(steps, apply)
            for each in done:
                what = STAYS if each.stays is not None else each.what
                self._counts[each.list, what] += 1
                self._write(each)
            self._on_progress("undoing", partition + 1, PARTITIONS)
            self._session.keep_lease()

    def _planned(
        self, partition: int, load: Load, undoing: UndoTerms, whats: frozenset[str]
    ) -> list[Step]:
        """The steps of this pass; those of the next one are kept, where they are not too many.

        What is changed between the two has a newer revision, and stays.
        """
        steps = self._kept.pop(partition, None)
        if steps is None:
            steps = list(self._steps(partition, load, undoing))
            others = [each for each in steps if each.what not in whats]
            if sum(map(len, self._kept.values())) + len(others) < KEPT:
                self._kept[partition] = others
        return [each for each in steps if each.what in whats]

    def _steps(self, partition: int, load: Load, undoing: UndoTerms) -> Iterator[Step]:
        session = self._session
        notes = chained(session.run(undo_notes(session.store, partition, load.nonce)))
        now = self._stored(list(dict.fromkeys(token for token, _, _ in notes)))
        for name, note in notes.items():
            found = _step(name, note, now.get(name), undoing)
            if found is not None:
                yield found
        if load.first:
            codes = frozenset(session.lists.ids[name].code for name in load.first)
            whole = undo_plan.FirstLoad(self._number, codes, undoing, frozenset(notes))
            yield from session.run(undo_plan.steps(session.store, partition, whole))

    def _stored(self, tokens: Sequence[bytes]) -> dict[tuple[bytes, int, bytes], PackedEntry]:
        got = self._session.run(records(self._session.store, tokens))
        return {
            (token, packed.list, packed.entry_hash): packed
            for token, entries in zip(tokens, got, strict=True)
            for packed in entries
        }

    def _applied(self, steps: Sequence[Step], apply: Apply) -> Iterator[Step]:
        """The steps as they came out; what is two changes goes first, and never in two calls."""
        yield from (each for each in steps if not each.changes)
        left = sorted((each for each in steps if each.changes), key=lambda s: -len(s.changes))
        while left:
            width = len(left[0].changes)
            some, left = left[: AT_ONCE // width], left[AT_ONCE // width :]
            found = apply([change for each in some for change in each.changes])
            ends = 0
            for each in some:
                ends += len(each.changes)
                yield _outcome(each, found[ends - 1])
            self._session.keep_lease()

    def _did(self) -> dict[str, dict[str, int]]:
        did: dict[str, dict[str, int]] = {}
        for (code, what), count in self._counts.items():
            figures = did.setdefault(
                self._session.lists.name(code),
                dict.fromkeys((*_DID.values(), "superseded"), 0),
            )
            figures[_DID[what]] += count
        return did

    def _undone(self, load: Load, number: int | None, *, dry_run: bool) -> Undone:
        counts: Counter[str] = Counter()
        for (_, what), count in self._counts.items():
            counts[what] += count
        return Undone(
            dry_run=dry_run,
            load=self._number,
            undo=number,
            name=load.actor,
            put_back=counts[PUT_BACK],
            removed=counts[REMOVED],
            changed_back=counts[CHANGED_BACK],
            stays=counts[STAYS],
            never_loaded=load.first,
            staying=self._write.staying,
            notes=uptake_notes(self._late),
            seconds=round(time.monotonic() - self._began_s, 3),
        )


def _step(
    name: tuple[bytes, int, bytes],
    note: UndoNote | None,
    now: PackedEntry | None,
    undoing: UndoTerms,
) -> Step | None:
    if note is not None:
        return step(note, now, undoing)
    if now is None:
        return None
    return Step(name[0], name[1], now.content, CHANGED_BACK, stays=state_of(now))


def _outcome(planned: Step, found: Applied | Refusal) -> Step:
    """What became of it; somebody may have been there just before."""
    if found is Refusal.MEMORY:
        raise Unavailable("the server's memory is full: free some, and undo again")
    if isinstance(found, Applied) and found.outcome not in _DONE:
        return planned._replace(stays=found.state)
    if found is Refusal.UNREADABLE:
        return planned._replace(stays=state_of(None))
    return planned
