"""Does the roster equal the file? Shows the differences, and repairs them if told to."""

from __future__ import annotations

import time
from operator import attrgetter

import msgspec

from loader.jobs import guard
from loader.jobs.crew import Crew
from loader.jobs.intake import Intake
from loader.jobs.load_records import begun
from loader.jobs.reading import OnProgress, Options, ask, crew_for, read_files
from loader.jobs.session import Session, uptake_notes
from loader.partitions.diffs import KINDS, Compared, compare, repair
from loader.partitions.partition import PartitionJob, jobs_of
from loader.rows.packed_rows import Context
from loader.rows.scatter import ScatterResult
from loader.words import figures as words
from loader.words.sayings import SAYINGS
from roster.errors import LoadRefused
from roster.records.content import unpack_content
from roster.records.meta import Meta
from roster.speech.language import say
from roster.storage.snapshots import DifferingEntry, Snapshot, SnapshotMerge
from roster.times import format_ms

SHOWN_MAX = 1_000


class ListDigests(msgspec.Struct):
    """A list's digest by the file and in the roster, in hexadecimal; differences by kind."""

    file: str
    roster: str
    missing: int = 0
    extra: int = 0
    different: int = 0
    newer: int = 0


class Difference(msgspec.Struct):
    """One entry that differs: never whose it is."""

    kind: str
    list: str
    entry_id: str
    partition: int
    bucket: int


class Verification(msgspec.Struct, kw_only=True):
    """Whether roster and file are equal; `differences` are the first thousand.

    `repaired` are records that were written; what is counted then is what was left. `notes` are
    about processes of the service that were not waited for any longer.
    """

    equal: bool
    as_of: str
    rows: int
    lists: dict[str, ListDigests]
    differences: list[Difference]
    rejected: dict[str, int]
    repaired: int
    notes: list[str]
    seconds: float


class Verifying:
    """One comparison of files with the roster."""

    def __init__(self, session: Session, options: Options, on_progress: OnProgress) -> None:
        """Limits do not matter: a comparison changes nothing that the file does not say."""
        self._session = session
        self._options = options
        self._on_progress = on_progress
        self._began_s = time.monotonic()
        self._courts: set[str] = set()
        self._late = 0

    def run(self, *, repair: bool) -> Verification:
        """How the roster differs; after a repair, how it still does. Raises LoadRefused."""
        session = self._session
        if repair:
            session.take_lease()
        intake = Intake(self._options.files, session.public_key)
        guard.check_names(intake.lists, session.lists)
        metas = session.run(session.store.metas())
        as_of = intake.as_of or _last_begun(metas)
        context = session.context(as_of, time.time_ns() // 1_000_000)
        with crew_for(session, self._options, context) as (crew, _):
            found = read_files(intake, crew, self._on_progress)
            intake.check(found)
            self._courts = found.courts
            if repair:
                guard.check_named(found, intake.lists)
            lists = intake.lists or tuple(filter(None, found.names))
            guard.check_lists(found, lists)
            codes = bytes(context.codes[name] for name in lists)
            snapshot = session.snapshot(codes, context.as_of)
            jobs = jobs_of(snapshot, context.load, found.kept, metas)
            compared = self._compare(crew, jobs)
            written = self._repair(crew, jobs, compared, context) if repair else 0
            if written:
                compared = self._compare(crew, jobs)
        return self._verification(found, compared, snapshot, written)

    def _compare(self, crew: Crew, jobs: list[PartitionJob]) -> list[Compared]:
        compared = ask(crew, "comparing", self._on_progress, ((compare, job) for job in jobs))
        return sorted(compared, key=attrgetter("partition"))

    def _repair(
        self, crew: Crew, jobs: list[PartitionJob], compared: list[Compared], context: Context
    ) -> int:
        """Records written; each partition that differs is begun, merged in part and finished."""
        session = self._session
        wrong = [one for one in compared if one.buckets]
        if not wrong:
            return 0
        guard.check_as_of(context.as_of, context.now_ms, {})
        session.intern(self._courts)
        record = begun(
            *(self._options.files.paths, "repair", context.now_ms),
            lists=tuple(map(session.lists.name, jobs[0].snapshot.lists)),
            as_of=context.as_of,
        )
        session.open_load(context.load, record)
        merging = SnapshotMerge(session.store, jobs[0].snapshot)
        session.run(merging.begin([one.partition for one in wrong]))
        tasks = ((repair, jobs[one.partition], one.buckets) for one in wrong)
        written = sum(done.written for done in crew.map("run", tasks))
        self._late = session.close_load(context.load, record)
        return int(written)

    def _verification(
        self, found: ScatterResult, compared: list[Compared], snapshot: Snapshot, written: int
    ) -> Verification:
        lists = self._digests(compared, snapshot.lists)
        differ = any(
            each.file != each.roster or each.missing + each.extra + each.different + each.newer
            for each in lists.values()
        )
        shown = [self._shown(one.partition, each) for one in compared for each in one.differences][
            :SHOWN_MAX
        ]
        return Verification(
            equal=not differ,
            as_of=format_ms(snapshot.as_of),
            rows=found.rows.total(),
            lists=lists,
            differences=shown,
            rejected=dict(found.rejected),
            repaired=written,
            notes=uptake_notes(self._late),
            seconds=round(time.monotonic() - self._began_s, 3),
        )

    def _digests(self, compared: list[Compared], codes: bytes) -> dict[str, ListDigests]:
        metas = self._session.run(self._session.store.metas())
        lists = {}
        for code in codes:
            file = roster = 0
            for one in compared:
                file ^= one.file_digests.get(code, 0)
            for meta in metas:
                roster ^= meta.digest(code)
            counts = {
                kind: sum(one.counts[code, kind] for one in compared) for kind in KINDS.values()
            }
            name = self._session.lists.name(code)
            lists[name] = ListDigests(f"{file:016x}", f"{roster:016x}", **counts)
        return lists

    def _shown(self, partition: int, one: DifferingEntry) -> Difference:
        content = unpack_content(one.content, _AnyCourt()) if one.content else None
        entry_id = content.entry_id if content else ""
        name = self._session.lists.name(one.list)
        return Difference(KINDS[one.kind], name, entry_id, partition, one.bucket)


class _AnyCourt(dict[bytes, str]):
    """Any court: only the entry's id is wanted."""

    def __missing__(self, _identifier: bytes) -> str:
        return "?"


def _last_begun(metas: list[Meta]) -> int:
    """The time that the last whole load speaks for; raises LoadRefused where there is none."""
    as_of_ms = max(meta.last_begun_ms for meta in metas)
    if not as_of_ms:
        raise LoadRefused("nothing was ever loaded here, and no manifest states an as_of")
    return as_of_ms


def verification_text(verdict: Verification) -> str:
    """The differences for a person who reads them on a terminal."""
    lines = [_of_list(name, each) for name, each in verdict.lists.items()]
    lines += map(_difference, verdict.differences)
    if verdict.repaired:
        lines.append(say(words.REPAIRED, count=verdict.repaired))
    lines += [f"  {SAYINGS.spoken(note)}" for note in verdict.notes]
    equal = words.EQUALS if verdict.equal else words.EQUALS_NOT
    return "\n".join([*lines, say(equal, rows=verdict.rows)])


def _of_list(name: str, each: ListDigests) -> str:
    equal = words.EQUAL if each.file == each.roster else words.DIFFERENT
    return say(words.VERIFIED, name=name, verdict=say(equal), **msgspec.structs.asdict(each))


def _difference(one: Difference) -> str:
    place = f"{one.partition:02d}/{one.bucket:04x}"
    entry = f"{one.list} {one.entry_id}"
    return say(words.DIFFERENCE, kind=say(words.KINDS[one.kind]), entry=entry, place=place)
