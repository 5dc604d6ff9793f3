"""The merge of buckets that may differ gives the roster that the merge of everybody gives.

`RELOAD_EXAMPLES` makes it long.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import redis.asyncio
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from loader.partitions.partition import PartitionJob, PartitionResult, merge, preview
from loader.rows.packed_rows import LISTED, REMOVED, RESUMED, SUSPENDED, Spill
from roster import keys
from roster.filter import TokenFilter
from roster.keys import BUCKETS
from roster.records.change import Change
from roster.records.entry import Op, Provenance
from roster.records.record import HEADER, WITHOUT_REVISION, provenance_tail, split_record
from roster.redis.calls import Call, Plain, Wait
from roster.redis.nodes import Nodes
from roster.storage.buckets import buckets_of
from roster.storage.snapshots import MergeCounts, Snapshot, SnapshotMerge
from roster.storage.store import Store
from tests.loader.loads import Roster, row
from tests.loader.one_by_one import packed_of

if TYPE_CHECKING:
    from tests.servers import Server

EXAMPLES = int(os.environ.get("RELOAD_EXAMPLES", "60"))
CHECK = b"checkval"
PARTITION = 5
WAIT = Wait(aof=False, replicas=0, timeout_ms=1_000)
TAIL = provenance_tail(Provenance("api", "a test"))
STATED = b"P" + bytes(6) + provenance_tail(Provenance("load", reason="performed"), 3)
PLACES = [
    bucket.to_bytes(2) + bytes(10) + bytes((bucket & 255, n))
    for bucket in (0, 9, 1023)
    for n in (1, 2)
]
TOMBSTONE_MS = 6
KEEP_MS = 90 * 86_400_000

times = st.integers(1, 12)


class Edit(NamedTuple):
    """A change as the service makes it; the same entry and case are the same content."""

    place: bytes
    list: int
    entry: int
    op: Op
    revision: int
    case: int


class File(NamedTuple):
    """A file's rows: place, list, entry, what it raises, revision, case, whether told why."""

    rows: tuple[tuple[bytes, int, int, int, int, int, bool], ...]
    lists: bytes
    kept: bytes


places = st.sampled_from(PLACES)
lists = st.sampled_from([1, 1, 1, 2, 200])
edits = st.builds(
    Edit, places, lists, st.integers(0, 2), st.sampled_from([Op.PUT, Op.PUT, *list(Op)[:4]]),
    times, st.integers(0, 1),
)  # fmt: skip
stated = st.sampled_from([LISTED] * 6 + [LISTED | RESUMED, LISTED | SUSPENDED, REMOVED])
presents = stated | st.sampled_from([LISTED, LISTED | SUSPENDED, REMOVED]).map(
    lambda present: present | WITHOUT_REVISION
)


def files(raised: st.SearchStrategy[int]) -> st.SearchStrategy[File]:
    """Whole files of some lists, or partial ones."""
    one = st.tuples(places, lists, st.integers(0, 2), raised, times, st.integers(0, 1),
                    st.integers(0, 9).map(lambda n: n == 0))  # fmt: skip
    kept = st.builds(
        lambda place, code, entry: place + bytes((code,)) + hash_of(entry),
        st.sampled_from([*PLACES, bytes(14)]), lists, st.integers(0, 2),
    )  # fmt: skip
    return st.builds(
        lambda rows, codes, kept: File(
            tuple(row for row in rows if not codes or row[1] in codes), bytes(sorted(codes)), kept
        ),
        st.lists(one, max_size=14),
        st.sets(st.sampled_from([1, 2, 200])),
        st.just(b"") | kept,
    )


def hash_of(entry: int) -> bytes:
    return bytes(5) + bytes((entry,))


def content(entry: int, case: int) -> bytes:
    return b"\0\0\1" + bytes((97 + entry, 97 + case)) + bytes(2)


def digest(place: bytes, code: int, packed: bytes) -> bytes:
    return hashlib.sha256(place + bytes((code,)) + packed).digest()[:8]


def change(edit: Edit) -> Change:
    packed = content(edit.entry, edit.case)
    return Change(
        bytes((0, PARTITION)) + edit.place, edit.list, edit.op, edit.revision,
        hash_of(edit.entry), packed, digest(edit.place, edit.list, packed), TAIL,
    )  # fmt: skip


def spilled(file: File, as_of: int, folder: Path) -> None:
    """The rows, as the first phase of a load puts them aside."""
    packed = []
    for place, code, entry, present, revision, case, told in file.rows:
        body, why = content(entry, case), STATED if told else b""
        at = as_of if present & WITHOUT_REVISION else revision
        registers = at.to_bytes(6) * (present % WITHOUT_REVISION).bit_count()
        word = digest(place, code, body)
        head = HEADER.pack(code, present, hash_of(entry), word, len(body), len(why) or 3)
        packed.append((bytes((0, PARTITION)) + place, place + head + registers + body + why))
    spill = Spill(folder, 0)
    if packed:
        spill.add(packed_of(packed))
    spill.close()


class Meddling(Nodes):
    """Servers to which something is done before each of some calls."""

    meddle: Callable[[], Awaitable[None]] | None = None

    async def run(self, calls: Sequence[Call | Plain], wait: Wait | None = None) -> list[Any]:
        if self.meddle is not None:
            await self.meddle()
        return await super().run(calls, wait)


class Bench:
    """A store on a test's server, and the roster in it as plain values."""

    def __init__(self, server: Server) -> None:
        self.client: Any = redis.asyncio.Redis(unix_socket_path=str(server.socket), protocol=2)
        self.nodes = Meddling(self.client, lambda _host, _port: self.client)
        self.store = Store(self.nodes, CHECK, keep_ms=KEEP_MS)
        self.own = Store(Nodes(self.client, lambda _host, _port: self.client), CHECK)

    async def apply(self, edit: Edit) -> None:
        await self.own.apply([change(edit)], WAIT)

    async def load(
        self, file: File, as_of: int, how: Way
    ) -> tuple[PartitionResult, PartitionResult | None]:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            spilled(file, as_of, folder)
            snapshot = Snapshot(file.lists, as_of, "n", TOMBSTONE_MS)
            covered = set(file.lists) <= await self.covered()
            job = PartitionJob(PARTITION, snapshot, 3, file.kept, covered=covered)
            return await how(self, job, folder)

    async def come_to(self, before: list[Edit | File]) -> None:
        """Edits and files, one after the other, each file of a later time."""
        for number, each in enumerate(before):
            if isinstance(each, Edit):
                await self.apply(each)
            else:
                await self.load(each, min(number + 1, 12), everybody)

    async def dumped(self) -> dict[bytes, bytes]:
        return {key: await self.client.dump(key) for key in await self.client.keys()}

    async def restore(self, dumped: dict[bytes, bytes]) -> None:
        await self.client.flushdb()
        for key, data in dumped.items():
            await self.client.restore(key, 0, data)

    async def records(self) -> dict[bytes, bytes]:
        held = await buckets_of(self.own, PARTITION, range(BUCKETS))
        return {
            number.to_bytes(2) + field: record
            for number, bucket in enumerate(held)
            for field, record in bucket.items()
        }

    async def registers(self) -> dict[bytes, list[Any]]:
        """What each person's entries are, but when a change was applied."""
        return {
            place: [packed[:5] for packed in split_record(record)]
            for place, record in (await self.records()).items()
        }

    async def covered(self) -> set[int]:
        """The codes of the lists that have been loaded in full."""
        return set(await self.client.hget(keys.META[PARTITION], "covered") or b"")

    async def state(self) -> dict[str, Any]:
        """All but what tells one run from another: id, times, marks, whose turn it was."""
        meta = await self.client.hgetall(keys.META[PARTITION])
        log = await self.client.xrange(keys.LOG[PARTITION])
        own = (b"t:", b"mark", b"writes", b"image", b"history", b"b:", b"w:", b"roster", b"seal")
        return {
            "records": await self.records(),
            "meta": {name: value for name, value in told(meta).items() if not name.startswith(own)},
            "log": sorted(
                ((entry[b"e"][4:28], entry[b"e"][34:]) for _, entry in log),
                key=lambda one: one[0][4:18],
            ),
        }


def told(meta: dict[bytes, bytes]) -> dict[bytes, bytes]:
    """What is not nothing."""
    return {name: value for name, value in meta.items() if value.strip(b"\0") not in (b"", b"0")}


Way = Callable[
    [Bench, PartitionJob, Path], Awaitable[tuple[PartitionResult, PartitionResult | None]]
]


async def everybody(
    bench: Bench, job: PartitionJob, folder: Path
) -> tuple[PartitionResult, PartitionResult | None]:
    """As a first load does it."""
    (begun,) = await SnapshotMerge(bench.store, job.snapshot).begin([PARTITION])
    return await merge(bench.store, job, folder, begun.position), None


async def those_who_differ(
    bench: Bench, job: PartitionJob, folder: Path
) -> tuple[PartitionResult, PartitionResult | None]:
    seen = await preview(bench.store, job, folder)
    (begun,) = await SnapshotMerge(bench.store, job.snapshot).begin([PARTITION])
    return await merge(bench.store, job, folder, begun.position), seen


def with_changes_between(edits: Sequence[Edit]) -> Way:
    """Changes come after the preview."""

    async def load(
        bench: Bench, job: PartitionJob, folder: Path
    ) -> tuple[PartitionResult, PartitionResult | None]:
        seen = await preview(bench.store, job, folder)
        for edit in edits:
            await bench.apply(edit)
        (begun,) = await SnapshotMerge(bench.store, job.snapshot).begin([PARTITION])
        return await merge(bench.store, job, folder, begun.position), seen

    return load


def fates(counted: dict[int, MergeCounts]) -> dict[int, MergeCounts]:
    return {code: fate for code, fate in counted.items() if any(fate)}


run_settings = settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck)
)


def on_a_bench(server: Server, work: Callable[[Bench], Awaitable[None]]) -> None:
    async def run() -> None:
        bench = Bench(server)
        await bench.client.flushall()
        try:
            await work(bench)
        finally:
            await bench.nodes.close()

    asyncio.run(run())


def much_like(before: Sequence[Edit | File], last: File, alike: int) -> File:
    """The file that came last once more, but for some rows of this one; or this one."""
    known = [each for each in before if isinstance(each, File) and each.lists]
    if not alike or not known:
        return last
    rows = tuple(row for row in last.rows if row[1] in known[-1].lists)
    return File(known[-1].rows[alike - 1 :] + rows[: alike - 1], known[-1].lists, last.kept)


@given(
    st.lists(edits | files(presents), max_size=12), files(presents), st.integers(12, 20),
    st.integers(0, 4),
)  # fmt: skip
@run_settings
def test_merging_those_who_differ_is_merging_everybody(
    valkey: Server, before: list[Edit | File], last: File, as_of: int, alike: int
) -> None:
    last = much_like(before, last, alike)

    async def work(bench: Bench) -> None:
        await bench.come_to(before)
        start = await bench.dumped()
        whole, _ = await bench.load(last, as_of, everybody)
        expected, on_list = await bench.state(), await live(bench)
        await bench.restore(start)
        done, seen = await bench.load(last, as_of, those_who_differ)
        assert await bench.state() == expected
        assert await live(bench) == on_list
        assert seen is not None
        assert fates(seen.fates) == fates(done.fates) == fates(whole.fates)
        assert done.written == whole.written
        assert (done.people, done.duplicates) == (whole.people, whole.duplicates)

    on_a_bench(valkey, work)


def removed_one_by_one(edits: Sequence[Edit]) -> Way:
    """Before each call of the merge comes one of these."""

    async def load(
        bench: Bench, job: PartitionJob, folder: Path
    ) -> tuple[PartitionResult, PartitionResult | None]:
        seen = await preview(bench.store, job, folder)
        (begun,) = await SnapshotMerge(bench.store, job.snapshot).begin([PARTITION])
        left = iter(edits)

        async def meddle() -> None:
            if edit := next(left, None):
                await bench.apply(edit)

        bench.nodes.meddle = meddle
        done = await merge(bench.store, job, folder, begun.position)
        bench.nodes.meddle = None
        return done, seen

    return load


def test_a_seal_that_breaks_while_another_is_dealt_with_is_noticed_too(valkey: Server) -> None:
    file = File(tuple((place, 1, 0, LISTED, 5, 0, False) for place in PLACES), b"\1", b"")
    removals = [Edit(place, 1, 0, Op.REMOVE, 6, 0) for place in (PLACES[0], PLACES[2])]

    async def work(bench: Bench) -> None:
        await bench.load(file, 6, everybody)
        done, seen = await bench.load(file, 7, removed_one_by_one(removals))
        assert seen is not None
        assert seen.sealed == BUCKETS
        assert fates(seen.fates) == {1: MergeCounts(unchanged=6)}
        assert fates(done.fates) == {1: MergeCounts(unchanged=4, superseded=2)}

    on_a_bench(valkey, work)


@given(
    st.lists(edits | files(presents), max_size=8), st.lists(edits, max_size=8), files(presents),
    st.integers(0, 4),
)  # fmt: skip
@run_settings
def test_changes_between_preview_and_merge_count_as_before_the_merge(
    valkey: Server, before: list[Edit | File], between: list[Edit], last: File, alike: int
) -> None:
    last = much_like(before, last, alike)

    async def work(bench: Bench) -> None:
        await bench.come_to(before)
        start = await bench.dumped()
        for edit in between:
            await bench.apply(edit)
        whole, _ = await bench.load(last, 13, everybody)
        expected = await bench.registers()
        await bench.restore(start)
        done, _ = await bench.load(last, 13, with_changes_between(between))
        assert await bench.registers() == expected
        for code in {*whole.fates, *done.fates}:
            ours, theirs = done.fates.get(code, MergeCounts()), whole.fates.get(code, MergeCounts())
            assert sum(ours) - ours.ended == sum(theirs) - theirs.ended
            assert ours[:3] == theirs[:3]

    # A partial file has no floor, so that changes may count as after it as well.
    if last.lists:
        on_a_bench(valkey, work)


def is_half_told(file: File, edit: Edit) -> bool:
    """Whether the entry is that of a rejected row, whose place may be illegible, or a tombstone."""
    entry = bytes((edit.list,)) + hash_of(edit.entry)
    tombstones = {row[:3] for row in file.rows if not row[3] & LISTED}
    return edit[:3] in tombstones or file.kept in {edit.place + entry, bytes(14) + entry}


@example(
    before=[File((), b"\1", b""), Edit(PLACES[0], 1, 0, Op.PUT, 1, 0)],
    during=[(4, Edit(PLACES[0], 1, 0, Op.PUT, 3, 0))],
    last=File((), b"\1", b""),
    alike=0,
)
@given(
    st.lists(edits | files(stated), max_size=6),
    st.lists(st.tuples(st.integers(0, 12), edits), max_size=10),
    files(stated),
    st.integers(0, 4),
)
@run_settings
def test_changes_at_any_moment_of_a_load_give_the_same_roster(
    valkey: Server, before: list[Edit | File], during: list[tuple[int, Edit]], last: File,
    alike: int,
) -> None:  # fmt: skip
    """Removals hold, too: who is on a list is what the law says of the same edits in any order.

    But a rejected row leaves no trace with an entry that is not listed yet, and a tombstone does
    not say that it ever was: a put that comes after it, and is older than the file, is superseded
    (docs/architecture.md, The merge law).
    """
    last = much_like(before, last, alike)
    during = [
        each for each in during if each[1].op is not Op.PUT or not is_half_told(last, each[1])
    ]

    async def work(bench: Bench) -> None:
        await bench.come_to(before)
        start = await bench.dumped()
        for _, edit in during:
            await bench.apply(edit)
        await bench.load(last, 13, everybody)
        expected = await live(bench)
        await bench.restore(start)
        await bench.load(last, 13, meddled(during))
        assert await live(bench) == expected

    on_a_bench(valkey, work)


def meddled(during: Sequence[tuple[int, Edit]]) -> Way:
    """Changes come before the nth call of the load, wherever that is."""

    async def load(
        bench: Bench, job: PartitionJob, folder: Path
    ) -> tuple[PartitionResult, PartitionResult | None]:
        calls = 0

        async def meddle() -> None:
            nonlocal calls
            now = [edit for at, edit in during if at == calls]
            calls += 1
            for edit in now:
                await bench.apply(edit)

        bench.nodes.meddle = meddle
        loaded = await those_who_differ(bench, job, folder)
        bench.nodes.meddle = None
        for _, edit in [each for each in during if each[0] >= calls]:
            await bench.apply(edit)
        return loaded

    return load


async def live(bench: Bench) -> dict[str, Any]:
    """Who is on which list with what, as records and counts say; and that the filter knows them."""
    meta = await bench.client.hgetall(keys.META[PARTITION])
    on_list = {
        place + bytes((packed.list,)) + packed.entry_hash: (packed.content, packed.registers[0])
        for place, record in (await bench.records()).items()
        for packed in split_record(record)
        if is_live(packed.registers)
    }
    image = await bench.client.get(keys.IMAGE[PARTITION])
    if image:
        known = TokenFilter.from_bytes(image[24:])
        seq = int.from_bytes(image[4:10])
        log = await bench.client.xrange(keys.LOG[PARTITION])
        after = {entry[b"e"][8:22] for at, entry in log if int(at.split(b"-")[1]) > seq}
        people = {place[:14] for place in on_list}
        assert {one for one in people if bytes((0, PARTITION)) + one not in known} <= after
    counts = {name: value for name, value in told(meta).items() if name[:2] in (b"d:", b"p:")}
    return {"live": on_list, "counts": counts}


def is_live(registers: Sequence[int]) -> bool:
    listed, removed, _, _, absent = registers
    return listed > max(removed, absent)


def all_listed(count: int = len(PLACES)) -> File:
    return File(tuple((place, 1, 0, LISTED, 3, 0, False) for place in PLACES[:count]), b"\1", b"")


def test_the_same_file_again_reads_no_record_and_sends_no_row(valkey: Server) -> None:
    async def work(bench: Bench) -> None:
        await bench.load(all_listed(), 4, everybody)
        await bench.load(all_listed(5), 5, those_who_differ)
        before = await bench.records()
        done, seen = await bench.load(all_listed(5), 6, those_who_differ)
        assert seen is not None
        assert seen.sealed == BUCKETS
        assert done.fates == {1: MergeCounts(unchanged=5)}
        assert await bench.records() == before

    on_a_bench(valkey, work)


def test_after_a_write_by_a_version_without_seals_all_is_compared(valkey: Server) -> None:
    async def without(
        bench: Bench, job: PartitionJob, folder: Path
    ) -> tuple[PartitionResult, PartitionResult | None]:
        seen = await preview(bench.store, job, folder)
        assert seen.sealed == BUCKETS
        await bench.client.hincrby(keys.META[PARTITION], "writes", 1)
        await bench.client.hdel(keys.bucket(PARTITION, 0), PLACES[0][2:])
        (begun,) = await SnapshotMerge(bench.store, job.snapshot).begin([PARTITION])
        return await merge(bench.store, job, folder, begun.position), seen

    async def work(bench: Bench) -> None:
        await bench.load(all_listed(), 4, everybody)
        expected = await bench.registers()
        done, _ = await bench.load(all_listed(), 5, without)
        assert await bench.registers() == expected
        assert done.fates == {1: MergeCounts(added=1, unchanged=len(PLACES) - 1)}
        _, seen = await bench.load(all_listed(), 6, those_who_differ)
        assert seen is not None
        assert seen.sealed == BUCKETS

    on_a_bench(valkey, work)


def test_a_load_ends_while_changes_come_before_each_of_its_calls(valkey: Server) -> None:
    async def restless(
        bench: Bench, job: PartitionJob, folder: Path
    ) -> tuple[PartitionResult, PartitionResult | None]:
        revision = 20

        async def meddle() -> None:
            nonlocal revision
            revision += 1
            op = Op.SUSPEND if revision % 2 else Op.RESUME
            await bench.apply(Edit(PLACES[revision % 4], 1, 0, op, revision, 0))

        bench.nodes.meddle = meddle
        loaded = await those_who_differ(bench, job, folder)
        bench.nodes.meddle = None
        return loaded

    async def work(bench: Bench) -> None:
        await bench.load(all_listed(), 4, everybody)
        done, _ = await bench.load(all_listed(len(PLACES) - 1), 5, restless)
        assert done.fates[1].ended == 1
        assert sum(is_live(e[0][3]) for e in (await bench.registers()).values()) == len(PLACES) - 1

    on_a_bench(valkey, work)


def test_a_tombstone_that_falls_due_is_dropped_from_a_bucket_that_is_as_the_file(
    valkey: Server,
) -> None:
    async def work(bench: Bench) -> None:
        file, due = all_listed(len(PLACES) - 1), 5 + TOMBSTONE_MS
        await bench.load(all_listed(), 4, everybody)
        await bench.load(file, 5, those_who_differ)
        for as_of, left in ((due - 1, len(PLACES)), (due, len(PLACES) - 1)):
            await bench.load(file, as_of, those_who_differ)
            assert len(await bench.records()) == left

    on_a_bench(valkey, work)


def test_a_removed_row_beside_another_content_counts_as_superseded_each_time(
    valkey: Server,
) -> None:
    async def work(bench: Bench) -> None:
        removed = File(((PLACES[0], 1, 0, REMOVED, 5, 1, False),), b"\1", b"")
        await bench.apply(Edit(PLACES[0], 1, 0, Op.PUT, 3, 0))
        await bench.load(removed, 6, everybody)
        for as_of in (7, 8):
            done, _ = await bench.load(removed, as_of, those_who_differ)
            assert done.fates == {1: MergeCounts(superseded=1)}

    on_a_bench(valkey, work)


def test_one_list_changed_leaves_the_other_ones_buckets_sealed(valkey: Server) -> None:
    async def work(bench: Bench) -> None:
        one = all_listed()
        other = File(tuple((p, 2, 0, LISTED, 3, 0, False) for p in PLACES), b"\2", b"")
        await bench.load(one, 4, everybody)
        await bench.load(other, 5, everybody)
        await bench.apply(Edit(PLACES[0], 2, 0, Op.REMOVE, 6, 0))
        for file, sealed in ((one, BUCKETS), (other, BUCKETS - 1)):
            _, seen = await bench.load(file, 7, those_who_differ)
            assert seen is not None
            assert seen.sealed == sealed

    on_a_bench(valkey, work)


def test_a_reload_writes_the_people_who_changed_and_no_others(roster: Roster) -> None:
    rows = [row(n, n + 1) for n in range(3_000)]
    roster.load(rows)
    edited = [row(n, n + 1, 1_500_000_000_001, until="2099-01-01") for n in range(30)]
    new = [row(n, n + 1) for n in range(3_000, 3_015)]
    summary = roster.load([*edited, *rows[30:-15], *new], day=2)
    assert (summary.changed, summary.ended, summary.added) == (30, 15, 15)
    assert (summary.unchanged, summary.records_written) == (2_955, 60)
