"""A first load's buckets, held to what the merge makes of the same rows one by one."""

from __future__ import annotations

import tempfile
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loader.jobs.intake import Files
from loader.partitions import filling, partition
from loader.partitions.partition import PartitionJob, PartitionResult
from loader.rows.packed_rows import Spill
from roster.records.change import Change
from roster.records.entry import Op, Provenance
from roster.records.record import HEADER as ENTRY
from roster.records.record import pack_load, provenance_tail
from roster.redis.calls import Wait
from roster.storage.snapshots import Bucket, MergeOptions, MergeResult, Snapshot, SnapshotMerge
from roster.times import parse_time
from tests.loader.loads import HEADER, TOKENISER, Roster, row, settings_for, token
from tests.loader.one_by_one import packed_of
from tests.loader.test_buckets import packed_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.servers import Server

Stored = dict[tuple[bytes, bytes], Any]

PARTITION = 5
SNAPSHOT = Snapshot(b"\1\2\xc8", 1_577_808_000_000, "nonce", 10**11)
OWN = {b"history", b"mark", b"writes", b"seal_writes", b"image", b"ack", b"roster"}
"""In `meta` other at each load."""
WAIT = Wait(aof=False, replicas=0, timeout_ms=1000)
TAIL = provenance_tail(Provenance("api", "test"))


@pytest.fixture
def roster(any_server: Server, tmp_path: Path) -> Roster:
    return Roster(settings_for(any_server, tmp_path), tmp_path)


def stored(server: Server) -> Stored:
    """All that is stored of the partitions, without what is other at each load."""
    found: Stored = {}
    with server.client() as client:
        for key in sorted(client.keys()):
            kind = client.type(key)
            if b"{" in key and kind == b"hash":
                found |= {(key, field): value for field, value in client.hgetall(key).items()}
                found[key, b""] = client.object("encoding", key)
                if b":b:" in key and found[key, b""] == b"listpack":
                    found[key, b"order"] = client.hkeys(key)
            elif b"{" in key and kind == b"string":
                found[key, b""] = client.get(key)[24:]
            elif b"{" in key:
                found[key, b""] = client.xlen(key)
    own = {name for name in found if name[1] in OWN or name[1].startswith((b"b:", b"w:"))}
    return {name: value for name, value in found.items() if name not in own}


def differing(a: Stored, b: Stored) -> Stored:
    """What of two servers is not the same."""
    return {key: (a.get(key), b.get(key)) for key in a | b if a.get(key) != b.get(key)}


def merged(roster: Roster, rows: list[bytes], merge: Callable[..., Any]) -> PartitionResult:
    """What a first load of one partition did."""
    with tempfile.TemporaryDirectory() as name, roster.opened() as session:
        spill = Spill(Path(name), 0)
        spill.add(packed_of([(bytes((0, PARTITION)) + bytes(14), each) for each in rows]))
        spill.close()
        job = PartitionJob(PARTITION, SNAPSHOT, 3)
        (begun,) = session.run(SnapshotMerge(session.store, SNAPSHOT).begin([PARTITION]))
        done = session.run(merge(session.store, job, Path(name), begun.position))
    assert isinstance(done, PartitionResult)
    return done


@given(st.lists(packed_rows(), min_size=1, max_size=30))
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_filled_buckets_are_what_the_merge_makes(
    any_server: Server, roster: Roster, rows: list[bytes]
) -> None:
    any_server.empty()
    done, wanted = merged(roster, rows, partition.merge), stored(any_server)
    any_server.empty()
    assert merged(roster, rows, filling.fill) == done
    assert differing(stored(any_server), wanted) == {}


def entry(bucket: int, person: int, serial: int, content: bytes) -> bytes:
    """A plain row."""
    place = bucket.to_bytes(2) + person.to_bytes(12)
    entry_hash, digest = serial.to_bytes(6), blake2b(place + bytes((serial,)), digest_size=8)
    head = ENTRY.pack(1, 1, entry_hash, digest.digest(), len(content), len(pack_load(0)))
    return place + head + (1_500_000_000_000).to_bytes(6) + content


def test_buckets_and_records_too_large_for_a_listpack_are_merged(
    any_server: Server, roster: Roster
) -> None:
    many = [entry(3, person, 1, b"c" * 50) for person in range(513)]
    most = [entry(4, person, 1, b"c" * 50) for person in range(512)]
    long = [entry(800, 1, serial, b"c" * 50) for serial in range(120)]
    longest = [entry(1023, 1, 1, b"c" * 8_150)]
    rows = many + most + long + longest
    done, wanted = merged(roster, rows, partition.merge), stored(any_server)
    any_server.empty()
    assert merged(roster, rows, filling.fill) == done
    assert differing(stored(any_server), wanted) == {}


@pytest.mark.parametrize("merge", [partition.merge, filling.fill])
def test_redis_has_one_small_call_of_a_partition_at_a_time(
    roster: Roster, monkeypatch: pytest.MonkeyPatch, merge: Callable[..., Any]
) -> None:
    sizes: list[int] = []
    under_way = 0
    inner = SnapshotMerge.merge

    async def counted(
        self: SnapshotMerge, place: int, buckets: Sequence[Bucket], how: MergeOptions
    ) -> MergeResult:
        nonlocal under_way
        under_way += 1
        assert under_way == 1
        sizes.append(sum(len(bucket.rows) for bucket in buckets))
        reply = await inner(self, place, buckets, how)
        under_way -= 1
        return reply

    async def refused(*_: object) -> None:
        """As a server that does not take such payloads."""

    monkeypatch.setattr(SnapshotMerge, "merge", counted)
    monkeypatch.setattr(SnapshotMerge, "fill", refused)
    rows = [entry(n % 128 * 8, n // 128, 1, b"c" * 50) for n in range(5_000)]
    assert merged(roster, rows, merge).written == len(rows)
    a_bucket = sum(sizes) // 128
    assert max(sizes) <= partition.CALL_BYTES + a_bucket + 128
    assert len(sizes) >= sum(sizes) // (partition.CALL_BYTES + a_bucket)
    assert len(sizes) > 5


def unusual_file(roster: Roster) -> Files:
    """People of whom some are suspended, removed, on two lists, listed twice, told why."""
    rows = [row(n, n + 1) + "," for n in range(600)]
    rows += [row(n, n + 2000, list="xgl") + "," for n in range(0, 600, 7)]
    rows += [row(n, n + 3000, state="suspended") + "," for n in range(0, 600, 11)]
    rows += [row(n, n + 4000, state="removed") + ",2018-09-13" for n in range(500, 700, 13)]
    rows += [row(n, n + 5000, revision="") + "," for n in range(0, 700, 17)]
    rows += [row(n, n + 1, 1_500_000_000_001) + "," for n in range(0, 600, 19)]
    rows += [row(3, 6000, until="yesterday") + ","]
    path = roster.folder / "unusual.csv"
    path.write_text("\n".join([f"{HEADER},decided_at", *rows]) + "\n", encoding="utf-8")
    return Files((str(path),), ("sx", "xgl"), as_of=parse_time("2020-01-01"))


def test_a_server_that_refuses_restore_gets_the_same_roster(
    any_server: Server, roster: Roster
) -> None:
    file = unusual_file(roster)
    with any_server.client() as client:
        client.config_resetstat()
        client.execute_command("ACL", "SETUSER", "default", "-restore")
        try:
            told = roster.load_files(file)
        finally:
            client.execute_command("ACL", "SETUSER", "default", "+restore")
        assert client.info("commandstats")["cmdstat_restore"]["calls"] == 0
    wanted = stored(any_server)
    any_server.empty()
    again = roster.load_files(file)
    assert differing(stored(any_server), wanted) == {}
    assert (again.lists, again.records_written) == (told.lists, told.records_written)


def test_a_first_load_restores_listpacks_that_a_reload_finds_equal(
    any_server: Server, roster: Roster
) -> None:
    file = unusual_file(roster)
    with any_server.client() as client:
        client.config_resetstat()
        roster.load_files(file)
        stats = client.info("commandstats")
        assert stats["cmdstat_restore"]["calls"] > 500
        assert stats["cmdstat_restore"]["failed_calls"] == 0
    encodings = {
        value for (key, field), value in stored(any_server).items() if b":b:" in key and not field
    }
    assert encodings == {b"listpack"}
    again = roster.load_files(file)
    assert (again.added, again.ended, again.records_written) == (0, 0, 0)


def put(roster: Roster, n: int, revision: int) -> None:
    entry_hash = TOKENISER.entry_hash(1, "elsewhere")
    change = Change(token(n), 1, Op.PUT, revision, entry_hash, b"\0\0\1x\0", provenance=TAIL)
    with roster.opened() as session:
        session.run(session.store.apply([change], WAIT))


def test_a_bucket_that_is_there_already_is_merged_with_the_file(roster: Roster) -> None:
    rows = [row(n, n + 1) for n in range(300)]
    for n in (0, 100, 500):
        put(roster, n, parse_time("2020-02-01"))
    put(roster, 200, parse_time("2019-01-01"))
    roster.load(rows, lists=("sx",))
    states = roster.states()
    assert {states[token(n), "x"] for n in (0, 100, 500)} == {"ACTIVE"}
    assert states[token(200), "x"] == "ABSENT"
    assert len(states) == 304
    assert roster.count(b"n:1:1") == 303


def test_a_filled_roster_is_there_after_a_power_cut(
    make_server: Callable[..., Server], tmp_path: Path
) -> None:
    server = make_server()
    roster = Roster(settings_for(server, tmp_path), tmp_path)
    roster.load_files(unusual_file(roster))
    wanted = stored(server)
    server.kill()
    server.start()
    assert stored(server) == wanted
