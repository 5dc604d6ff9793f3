"""A whole file into the roster: scattered, guarded, merged partition by partition."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from msgspec.structs import replace

from loader.jobs import guard, report
from loader.jobs.crew import Crew
from loader.jobs.guard import ListBefore
from loader.jobs.intake import Intake
from loader.jobs.late import tell_late_denials
from loader.jobs.load_records import as_of_after, begun, count_lags, nothing_to_do
from loader.jobs.reading import OnProgress, Options, ask, crew_for, read_files
from loader.jobs.report import LoadSummary, Rejects, explained, still_rewound, write_rejects
from loader.jobs.session import Session, uptake_notes
from loader.partitions.diffs import DiffContext, join, write_part
from loader.partitions.filling import fill, suits
from loader.partitions.partition import PartitionJob, PartitionResult, jobs_of, merge, preview
from loader.rows.packed_rows import Context
from loader.rows.scatter import ScatterResult
from roster.errors import LoadRefused
from roster.keys import PARTITIONS
from roster.records.content import court_id
from roster.records.meta import Meta
from roster.storage.dictionary import Load
from roster.storage.snapshots import MergeCounts, Snapshot, SnapshotMerge, SnapshotStart
from roster.times import format_ms

NO_AS_OF = "a full snapshot needs --as-of, or a manifest that states as_of"


class Reading(msgspec.Struct, frozen=True):
    """What was read of the files, and for what: `lists` are names; codes are the snapshot's.

    The load has the number `load`, and is on `record` as that. `notes` are about its `rejects`
    first, and at last about who has not taken it up.
    """

    found: ScatterResult
    lists: tuple[str, ...]
    snapshot: Snapshot
    load: int
    record: Load
    rejects: Rejects
    notes: list[str]


class Loading:
    """One load of some files."""

    def __init__(self, session: Session, options: Options, on_progress: OnProgress) -> None:
        """`on_progress` hears of progress."""
        self._session = session
        self._options = options
        self._on_progress = on_progress
        self._began_s = time.monotonic()
        self._phases: dict[str, float] = {}
        self._now_ms = time.time_ns() // 1_000_000

    def run(self) -> LoadSummary:
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
            with crew_for(session, options, context) as (crew, folder):
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
        found = read_files(intake, crew, self._on_progress)
        data_dir = self._session.settings.data_dir
        rejects = write_rejects(folder, self._options.rejects, data_dir, self._now_ms)
        lists = intake.lists or tuple(filter(None, found.names))
        with explained(rejects, found.rows.total(), intake.hints.values()):
            intake.check(found)
            self._guard_rows(intake, found, lists)
            guard.check_alike(found, folder, self._session.lists)
        codes = b"" if self._options.partial else bytes(context.codes[name] for name in lists)
        record = begun(
            *(self._options.files.paths, "load", self._now_ms),
            lists=lists,
            as_of=context.as_of,
            partial=self._options.partial,
            files=intake.read,
            rejected=dict(found.rejected),
            rejects_file=_kept_in(self._options, rejects),
        )
        loads = self._session.run(self._session.dictionary.all_loads())
        snapshot = self._session.snapshot(codes, as_of_after(record, loads))
        record = replace(record, nonce=snapshot.nonce, as_of=snapshot.as_of)
        sentence = rejects.sentence(found.rows.total())
        notes = [sentence, *intake.hints.values()] if sentence else []
        return Reading(found, lists, snapshot, context.load, record, rejects, notes)

    def _guard_rows(self, intake: Intake, found: ScatterResult, lists: tuple[str, ...]) -> None:
        if not self._options.partial:
            guard.check_named(found, intake.lists)
        guard.check_lists(found, lists)
        guard.check_rows(found, self._options.limits)
        if not self._options.partial:
            allowed = self._options.allow_empty or intake.may_be_empty
            guard.check_not_empty(found, lists, allowed=allowed)

    def _merge(self, intake: Intake, reading: Reading, crew: Crew) -> LoadSummary:
        metas = self._session.run(self._session.store.metas())
        standing = self._standing(reading, metas)
        jobs = jobs_of(reading.snapshot, reading.load, reading.found.kept, metas)
        if self._options.diff is not None:
            with self._phase("diff"):
                diffing = self._diffing(reading.found.courts)
                tasks = ((write_part, job, diffing) for job in jobs)
                join(ask(crew, "diffing", self._on_progress, tasks), self._options.diff)
        previews: list[PartitionResult] = []
        if self._needs_preview(intake, standing):
            with self._phase("compare"):
                asked = ((preview, job) for job in jobs)
                previews = list(ask(crew, "comparing", self._on_progress, asked))
                with explained(reading.rejects, reading.found.rows.total(), reading.notes[1:]):
                    self._guard_changes(intake, previews, standing)
        if self._options.dry_run:
            reading.notes.extend(self._unended(intake, previews))
            return self._summary(reading, previews, crew)
        new = (name for name, each in standing.items() if not each.covered)
        first = tuple(new) if reading.snapshot.lists else ()
        reading = replace(reading, record=replace(reading.record, first=first))
        with self._phase("merge"):
            done = self._write(reading, jobs, previews, crew)
        reading.notes.extend(self._unended(intake, done))
        return self._summary(reading, done, crew)

    def _diffing(self, named: Iterable[str]) -> DiffContext:
        """Whatever court the files name is spelled out, known already or not."""
        courts = {court_id(court): court for court in named if court}
        known = self._session.dictionary.courts
        return DiffContext(self._session.lists, courts | known, self._now_ms)

    def _standing(self, reading: Reading, metas: list[Meta]) -> dict[str, ListBefore]:
        rules = self._session.lists.ids
        standing, begun = {}, {}
        for name in reading.lists:
            code = rules[name].code
            entries = sum(meta.live(code) for meta in metas)
            covered = all(code in meta.covered for meta in metas)
            emptied = not self._options.partial and not reading.found.rows_of(name)
            standing[name] = ListBefore(entries, covered, emptied)
            begun[name] = max(meta.begun(code).as_of_ms for meta in metas)
        if not self._options.partial:
            guard.check_as_of(reading.snapshot.as_of, self._now_ms, begun)
        return standing

    def _needs_preview(self, intake: Intake, standing: dict[str, ListBefore]) -> bool:
        known = any(each.entries or each.covered for each in standing.values())
        return known or self._options.dry_run or intake.digest() is not None

    def _guard_changes(
        self, intake: Intake, previews: Iterable[PartitionResult], standing: dict[str, ListBefore]
    ) -> None:
        stated, digest = intake.digest(), 0
        for each in previews:
            for value in each.digests.values():
                digest ^= value
        if stated is not None and stated != digest:
            raise LoadRefused(
                f"the lists' digest is {digest:016x}, the manifest states {stated:016x}"
            )
        guard.check_changes(self._fates(previews), standing, self._options.limits)

    def _write(
        self,
        reading: Reading,
        jobs: list[PartitionJob],
        previews: list[PartitionResult],
        crew: Crew,
    ) -> list[PartitionResult]:
        session = self._session
        begun = self._begin(reading)
        tasks = (
            (fill if suits(job) and not previews else merge, job, begun[job.partition].position)
            for job in jobs
        )
        done: list[PartitionResult] = list(ask(crew, "merging", self._on_progress, tasks))
        did = report.by_list(self._fates(done))
        late = session.close_load(reading.load, replace(reading.record, did=did))
        reading.notes.extend(uptake_notes(late))
        positions = [each.position for each in begun]
        decided = session.run(count_lags(session.store, positions, self._now_ms))
        if decided:
            tell_late_denials(session, decided)
        return done

    def _begin(self, reading: Reading) -> list[SnapshotStart]:
        """From here on something is written: first what the entries refer to."""
        session = self._session
        session.intern(reading.found.courts)
        session.open_load(reading.load, reading.record)
        merging = SnapshotMerge(session.store, reading.snapshot)
        return session.run(merging.begin(range(PARTITIONS)))

    def _fates(self, parts: Iterable[PartitionResult]) -> dict[str, MergeCounts]:
        fates: dict[str, MergeCounts] = {}
        for part in parts:
            for code, fate in part.fates.items():
                name = self._session.lists.name(code)
                fates[name] = fates.get(name, MergeCounts()).plus(fate)
        return fates

    def _unended(self, intake: Intake, parts: Iterable[PartitionResult]) -> list[str]:
        """That a file may have been cut; many are written so, and it harms where entries end."""
        ended = report.total(self._fates(parts)).ended
        return intake.unended if ended else []

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        began_s = time.monotonic()
        yield
        self._phases[name] = round(time.monotonic() - began_s, 3)

    def _summary(
        self, reading: Reading, parts: Iterable[PartitionResult], crew: Crew
    ) -> LoadSummary:
        parts = list(parts)
        session, found, fates = self._session, reading.found, self._fates(parts)
        together = report.total(fates)
        seconds = time.monotonic() - self._began_s
        duplicates = sum(part.duplicates for part in parts)
        skipped = {**found.skipped, **({"duplicate_in_file": duplicates} if duplicates else {})}
        return LoadSummary(
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
            records_written=0 if self._options.dry_run else sum(part.written for part in parts),
            seconds=round(seconds, 3),
            entries_per_s=int(found.lists.total() / seconds),
            peak_bytes=crew.peak_bytes(),
            lists=report.by_list(fates),
            seconds_by_phase=self._phases,
            rewound=still_rewound(session, reading.snapshot),
        )


def _kept_in(options: Options, rejects: Rejects) -> str:
    """Where the rejects lie once the load is over."""
    path = options.rejects_kept or rejects.path
    return str(path.resolve()) if path and rejects.count else ""


def _collisions(courts: Iterable[str], context: Context) -> frozenset[str]:
    """New courts whose four bytes another new one has, too; the first of them keeps them."""
    owners = dict(context.courts)
    lost = {court for court in sorted(courts) if owners.setdefault(court_id(court), court) != court}
    return frozenset(lost - context.spelled) and frozenset(lost | context.spelled)
