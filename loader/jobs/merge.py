"""A whole file into the roster: scattered, guarded, merged partition by partition."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from loader.crew.crew import Crew
from loader.jobs import lags
from loader.jobs.again import nothing_to_do
from loader.jobs.rewinds import still_rewound
from loader.partitions.diffs import diffing_by, join
from loader.partitions.partition import Done, Job, Preview, call_buckets
from loader.rows.kept import kept_in
from loader.rows.packing import Context
from loader.rows.scatter import Scattered
from loader.rows.spill import spill_folder
from loader.runs import guard, report, uptake
from loader.runs.guard import Standing
from loader.runs.intake import Intake
from loader.runs.ledger import begun
from loader.runs.reading import Options, Told, crew_for, read_files
from loader.runs.rejects import Rejects, explained, write_rejects
from loader.runs.report import Summary
from loader.runs.session import Session
from loader.undo import check
from roster.errors import LoadRefused
from roster.keys import PARTITIONS
from roster.records.content import court_id
from roster.records.meta import Meta
from roster.storage.dictionary import Load
from roster.storage.snapshots import MergeCounts, Snapshot, SnapshotMerge, SnapshotStart
from roster.times import DAY_MS, format_ms

NO_AS_OF = "a full snapshot needs --as-of, or a manifest that states as_of"


class Reading(msgspec.Struct, frozen=True):
    """What was read of the files, and for what: `lists` are names; codes are the snapshot's.

    The load has the number `load`, and is on `record` as that. `notes` are about its `rejects`
    first, and at last about who has not taken it up.
    """

    found: Scattered
    lists: tuple[str, ...]
    snapshot: Snapshot
    load: int
    record: Load
    rejects: Rejects
    notes: list[str]


class Loading:
    """One load of some files."""

    def __init__(self, session: Session, options: Options, told: Told) -> None:
        """`told` hears of progress."""
        self._session = session
        self._options = options
        self._told = told
        self._began_s = time.monotonic()
        self._phases: dict[str, float] = {}
        self._now_ms = time.time_ns() // 1_000_000

    def run(self) -> Summary:
        """What the load did; raises LoadRefused, and nothing is changed then."""
        session, options = self._session, self._options
        if not options.dry_run:
            session.take_lease()
        intake = Intake(options.files, session.public_key)
        as_of = self._as_of(intake)
        guard.check_names(intake.lists, session.lists)
        if not (options.again or options.dry_run):
            done = nothing_to_do(session, options, intake, as_of)
            if done is not None:
                return done
        context = session.context(as_of, self._now_ms)
        for attempt in range(2):
            with (
                spill_folder(session.settings.data_dir) as folder,
                crew_for(session, options, context, folder) as crew,
            ):
                with self._phase("read"):
                    reading = self._read(intake, crew, folder, context)
                collisions = _collisions(reading.found.courts, context)
                if collisions and not attempt:
                    intake.check_again()
                    context = replace(context, spelled=collisions)
                    continue
                return self._merge(intake, reading, crew)
        raise LoadRefused("court names collide beyond repair")

    def _as_of(self, intake: Intake) -> int:
        as_of = intake.as_of
        if as_of is None and self._options.partial:
            return self._now_ms
        if as_of is None:
            raise LoadRefused(NO_AS_OF)
        guard.check_as_of(as_of, self._now_ms, {})
        return as_of

    def _read(self, intake: Intake, crew: Crew, folder: Path, context: Context) -> Reading:
        found = read_files(intake, crew, self._told, self._options.files.paths)
        data_dir = self._session.settings.data_dir
        rejects = write_rejects(folder, self._options.rejects, data_dir, self._now_ms)
        lists = intake.lists or tuple(filter(None, found.names))
        with explained(rejects, found.rows.total(), intake.hints.values()):
            intake.check(found)
            self._guard_rows(intake, found, lists)
            guard.check_alike(found, folder, self._session.lists)
        codes = bytes(context.codes[name] for name in lists)
        record = begun(
            *(self._options.files.paths, "load", self._now_ms),
            lists=lists,
            as_of=context.as_of,
            partial=self._options.partial,
            files=intake.read,
            rejected=dict(found.rejected),
        )
        loads = self._session.run(self._session.dictionary.all_loads())
        snapshot = Snapshot(
            b"" if self._options.partial else codes,
            check.as_of_after(record, loads),
            secrets.token_hex(8),
            self._session.settings.tombstone_days * DAY_MS,
        )
        record = replace(record, nonce=snapshot.nonce, as_of=snapshot.as_of)
        told = rejects.told(found.rows.total())
        notes = [told, *intake.hints.values()] if told else []
        return Reading(found, lists, snapshot, context.load, record, rejects, notes)

    def _guard_rows(self, intake: Intake, found: Scattered, lists: tuple[str, ...]) -> None:
        if not self._options.partial:
            guard.check_named(found, intake.lists)
        guard.check_lists(found, lists)
        guard.check_rows(found, self._options.limits)
        if not self._options.partial:
            allowed = self._options.allow_empty or intake.may_be_empty
            guard.check_not_empty(found, lists, allowed=allowed)

    def _merge(self, intake: Intake, reading: Reading, crew: Crew) -> Summary:
        metas = self._session.run(self._session.store.metas())
        standing = self._standing(reading, metas)
        held = [meta.ever for meta in metas]
        size = call_buckets(sum(held))
        snapshot, load, kept = reading.snapshot, reading.load, reading.found.kept
        covered = all(each.covered for each in standing.values())
        jobs = [
            Job(p, snapshot, load, kept_in(p, kept), size, held[p], covered)
            for p in range(PARTITIONS)
        ]
        if self._options.diff is not None:
            with self._phase("diff"):
                diffing = diffing_by(self._session, reading.found.courts, self._now_ms)
                parts = crew.map("diff", ((job, diffing) for job in jobs))
                join(self._counted("diffing", parts), self._options.diff)
        previews: dict[int, Preview] = {}
        if self._needs_preview(intake, standing):
            with self._phase("compare"):
                answers = self._counted("comparing", crew.map("preview", jobs))
                previews = {preview.partition: preview for preview in answers}
                with explained(reading.rejects, reading.found.rows.total(), reading.notes[1:]):
                    self._guard_changes(intake, previews.values(), standing)
        if self._options.dry_run:
            return self._summary(reading, previews.values(), crew)
        known = {name for name, each in standing.items() if each.covered or not snapshot.lists}
        first = tuple(name for name in standing if name not in known)
        reading = replace(reading, record=replace(reading.record, first=first))
        with self._phase("merge"):
            done = self._write(reading, jobs, previews, crew)
        return self._summary(reading, done, crew)

    def _standing(self, reading: Reading, metas: list[Meta]) -> dict[str, Standing]:
        rules = self._session.lists.ids
        standing, begun = {}, {}
        for name in reading.lists:
            code = rules[name].code
            entries = sum(meta.live(code) for meta in metas)
            covered = all(code in meta.covered for meta in metas)
            emptied = not self._options.partial and not reading.found.rows_of(name)
            standing[name] = Standing(entries, covered, emptied)
            begun[name] = max(meta.begun(code).as_of_ms for meta in metas)
        if not self._options.partial:
            guard.check_as_of(reading.snapshot.as_of, self._now_ms, begun)
        return standing

    def _needs_preview(self, intake: Intake, standing: dict[str, Standing]) -> bool:
        known = any(each.entries or each.covered for each in standing.values())
        return known or self._options.dry_run or intake.digest() is not None

    def _guard_changes(
        self, intake: Intake, previews: Iterable[Preview], standing: dict[str, Standing]
    ) -> None:
        stated, digest = intake.digest(), 0
        for preview in previews:
            for value in preview.digests.values():
                digest ^= value
        if stated is not None and stated != digest:
            raise LoadRefused(
                f"the lists' digest is {digest:016x}, the manifest states {stated:016x}"
            )
        guard.check_changes(self._fates(previews), standing, self._options.limits)

    def _write(
        self, reading: Reading, jobs: list[Job], previews: dict[int, Preview], crew: Crew
    ) -> list[Done]:
        session = self._session
        begun = self._begin(reading)
        tasks = ((job, begun[job.partition].position, bool(previews)) for job in jobs)
        done = list(self._counted("merging", crew.map("merge", tasks)))
        did = report.by_list(self._fates(done))
        late = session.close_load(reading.load, replace(reading.record, did=did))
        reading.notes.extend(uptake.notes(late))
        positions = [each.position for each in begun]
        session.run(lags.count(session.store, positions, self._now_ms))
        return done

    def _begin(self, reading: Reading) -> list[SnapshotStart]:
        """From here on something is written: first what the entries refer to."""
        session = self._session
        session.intern(reading.found.courts)
        session.open_load(reading.load, reading.record)
        merging = SnapshotMerge(session.store, reading.snapshot)
        return session.run(merging.begin(range(PARTITIONS)))

    def _counted(self, what: str, answers: Iterator[Any]) -> Iterator[Any]:
        for count, answer in enumerate(answers, 1):
            self._told(what, count, PARTITIONS)
            yield answer

    def _fates(self, parts: Iterable[Preview | Done]) -> dict[str, MergeCounts]:
        fates: dict[str, MergeCounts] = {}
        for part in parts:
            for code, fate in part.fates.items():
                name = self._session.lists.name(code)
                fates[name] = fates.get(name, MergeCounts()).plus(fate)
        return fates

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        began_s = time.monotonic()
        yield
        self._phases[name] = round(time.monotonic() - began_s, 3)

    def _summary(self, reading: Reading, parts: Iterable[Preview | Done], crew: Crew) -> Summary:
        parts = list(parts)
        session, found, fates = self._session, reading.found, self._fates(parts)
        together = report.total(fates)
        seconds = time.monotonic() - self._began_s
        duplicates = sum(part.duplicates for part in parts)
        skipped = {**found.skipped, **({"duplicate_in_file": duplicates} if duplicates else {})}
        return Summary(
            dry_run=self._options.dry_run,
            as_of=format_ms(reading.snapshot.as_of),
            rows=found.rows.total(),
            people=sum(part.people for part in parts),
            **together._asdict(),
            rejected=dict(found.rejected),
            warnings=dict(found.warned),
            skipped=skipped,
            notes=reading.notes,
            rejects_file=str(reading.rejects.path) if reading.rejects.path else None,
            records_written=sum(part.written for part in parts if isinstance(part, Done)),
            seconds=round(seconds, 3),
            entries_per_s=int(found.lists.total() / seconds),
            peak_bytes=crew.peak_bytes(),
            lists=report.by_list(fates),
            seconds_by_phase=self._phases,
            rewound=still_rewound(session, reading.snapshot),
        )


def _collisions(courts: Iterable[str], context: Context) -> frozenset[str]:
    """New courts whose four bytes another new one has, too; the first of them keeps them."""
    owners = dict(context.courts)
    lost = {court for court in sorted(courts) if owners.setdefault(court_id(court), court) != court}
    return frozenset(lost - context.spelled) and frozenset(lost | context.spelled)
