"""What is forgotten stays off the lists; who was never listed is listed, however old the edit."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from roster import keys
from roster.documents.identity import Document, normalise
from roster.records.change import Change
from roster.records.entry import Op, Outcome
from roster.records.record import PackedEntry, pack_record
from roster.storage.retention import BucketRange, RetentionPeriods, forget
from roster.storage.rewinds import adopt
from roster.storage.snapshots import MIXED, Bucket, MergeOptions, Snapshot, SnapshotMerge
from tests.loader.loads import number
from tests.service.parts import DAY_MS, WAIT, Parts, process
from tests.service.rosters import LISTED, desk, edit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from roster.storage.store import Store
    from tests.servers import Server

PARTITION = 7
LIST, OTHER = 1, 2
HASH = bytes(range(6))
BITS_BYTES = 2**17 + 1
"""And the one bit behind them, by which the string has its size from the start."""


def token(n: int) -> bytes:
    return bytes((0, PARTITION)) + (n % 1024).to_bytes(2) + n.to_bytes(12)


def edited(op: Op, n: int, revision: int, code: int = LIST, entry: bytes = HASH) -> Change:
    lenient = op in {Op.REMOVE, Op.SUSPEND}
    return Change(token(n), code, op, revision, entry, b"content", bytes(8), lenient=lenient)


async def outcomes(parts: Parts, changes: Sequence[Change]) -> set[Outcome]:
    found: set[Outcome] = set()
    for at in range(0, len(changes), 100):
        applied = await parts.store.apply(changes[at : at + 100], WAIT)
        found |= {each.outcome for each in applied}
    return found


async def outcome(parts: Parts, change: Change) -> Outcome:
    (found,) = await outcomes(parts, [change])
    return found


async def forget_all(
    store: Store, partition: int = PARTITION, lists: bytes = bytes((LIST,))
) -> int:
    place = BucketRange(partition, range(keys.BUCKETS), 2**47)
    return await forget(store, place, RetentionPeriods(0, 0, 0, 0), lists)


async def listed_and_forgotten(parts: Parts, n: int, revision: int = 1_000) -> None:
    await outcomes(parts, [edited(Op.PUT, n, revision - 1), edited(Op.REMOVE, n, revision)])
    assert await forget_all(parts.store) == 1


async def merged(parts: Parts, people: Sequence[int], revision: int, *, dry: bool = False) -> int:
    """How many of these people a partial file has put on the list that were not on it."""
    merging = SnapshotMerge(parts.store, Snapshot(b"", 5_000, "n", 30 * DAY_MS))
    rows = b""
    for n in people:
        record = pack_record(
            [PackedEntry(LIST, HASH, bytes(8), (revision, 0, 0, 0, 0), b"file", b"", 0)]
        )
        rows += token(n)[4:] + bytes((MIXED,)) + len(record).to_bytes(4) + record
    (bucket,) = {token(n)[3] for n in people}
    how = MergeOptions(upto=bucket + 1, dry=dry)
    done = await merging.merge(PARTITION, [Bucket(bucket, b"", rows)], how)
    assert done is not None
    return done.fates[LIST].added


async def live(parts: Parts) -> set[int]:
    fields = await parts.store.fields(PARTITION, range(keys.BUCKETS))
    return {int.from_bytes(fields[at : at + 12]) for at in range(0, len(fields), 12)}


def neighbour(store_of: Callable[[str], bytes]) -> str:
    """Somebody else of the listed person's partition."""
    here = store_of(LISTED["number"])[1]
    return next(n for n in map(number, range(5_000)) if store_of(n)[1] == here)


async def test_who_was_never_listed_is_denied_however_old_the_first_edit_that_comes(
    valkey: Server, tmp_path: Path
) -> None:
    async with desk(valkey, tmp_path) as api:

        def token_of(text: str) -> bytes:
            return api.service.tokeniser.token(normalise(Document("resident_id", text)).number)

        other = {"type": "resident_id", "number": neighbour(token_of)}
        await api.change(edit("put", 90), edit("remove", 100), wait="all")
        assert await forget_all(api.service.changes_store, token_of(LISTED["number"])[1]) == 1
        assert await api.outcomes(edit("put", 90)) == ["superseded"]
        assert (await api.check(LISTED))["decision"] == "allow"
        assert await api.outcomes(edit("put", 50, document=other)) == ["applied"]
        assert (await api.check(other))["decision"] == "deny"
        # Another case of the forgotten person's is another entry, too.
        assert await api.outcomes(edit("put", 50, entry_id="e/2")) == ["applied"]
        assert (await api.check(LISTED))["decision"] == "deny"


async def test_the_same_document_on_another_list_is_another_entry(any_server: Server) -> None:
    async with process(any_server) as parts:
        await listed_and_forgotten(parts, 1)
        await outcomes(parts, [edited(Op.REMOVE, 2, 1_000, OTHER)])
        assert await forget_all(parts.store, lists=bytes((OTHER,))) == 1
        assert await outcome(parts, edited(Op.PUT, 1, 900, OTHER)) is Outcome.APPLIED
        assert await outcome(parts, edited(Op.PUT, 1, 900)) is Outcome.SUPERSEDED
        assert await outcome(parts, edited(Op.PUT, 1, 900, entry=HASH[::-1])) is Outcome.APPLIED


async def test_a_late_edit_of_a_forgotten_entry_opens_no_way_back(valkey: Server) -> None:
    """Neither through what comes first nor through an edit newer than that."""
    async with process(valkey) as parts:
        await listed_and_forgotten(parts, 1)
        late = [edited(op, 1, 500 + n) for n, op in enumerate((Op.SUSPEND, Op.PUT, Op.RESUME))]
        assert Outcome.APPLIED not in await outcomes(parts, [*late, edited(Op.PUT, 1, 1_000)])
        assert await live(parts) == set()
        assert await outcome(parts, edited(Op.PUT, 1, 1_001)) is Outcome.APPLIED


async def test_a_full_file_older_than_what_is_forgotten_opens_no_way_back(valkey: Server) -> None:
    async with process(valkey) as parts:
        await parts.cover(LIST, 100)
        await listed_and_forgotten(parts, 1)
        assert await outcome(parts, edited(Op.PUT, 1, 50)) is Outcome.SUPERSEDED
        assert await outcome(parts, edited(Op.PUT, 1, 500)) is Outcome.SUPERSEDED
        assert await outcome(parts, edited(Op.PUT, 2, 50)) is Outcome.SUPERSEDED  # the file's word
        assert await outcome(parts, edited(Op.PUT, 2, 500)) is Outcome.APPLIED


async def test_a_partial_file_lists_who_was_never_listed_and_nobody_forgotten(
    any_server: Server,
) -> None:
    async with process(any_server) as parts:
        await listed_and_forgotten(parts, 1)
        never = 1 + 1024
        assert await merged(parts, [1, never], 900, dry=True) == 1
        assert await merged(parts, [1, never], 900) == 1
        assert await live(parts) == {never}


async def test_what_was_forgotten_is_known_after_a_restart(
    make_server: Callable[..., Server],
) -> None:
    server = make_server()
    async with process(server) as parts:
        await listed_and_forgotten(parts, 1)
    server.stop()
    server.start()
    async with process(server) as parts:
        assert await outcome(parts, edited(Op.PUT, 1, 900)) is Outcome.SUPERSEDED
        assert await outcome(parts, edited(Op.PUT, 2, 900)) is Outcome.APPLIED


async def test_with_the_memory_full_what_is_old_is_forgotten(
    make_server: Callable[..., Server],
) -> None:
    server = make_server()
    async with process(server) as parts:
        await outcomes(parts, [edited(Op.PUT, 1, 10), edited(Op.REMOVE, 1, 20)])
        with server.client() as link:
            link.config_set("maxmemory", 1)
            assert await forget_all(parts.store) == 1
            link.config_set("maxmemory", 0)
        assert await outcome(parts, edited(Op.PUT, 1, 10)) is Outcome.SUPERSEDED


async def test_among_thousands_forgotten_nobody_is_taken_for_another_and_the_size_is_bounded(
    valkey: Server,
) -> None:
    async with process(valkey) as parts:
        await outcomes(parts, [edited(Op.REMOVE, n, 1_000 + n) for n in range(3_000)])
        assert await forget_all(parts.store) == 3_000
        late = [edited(Op.PUT, n, 900) for n in range(3_000)]
        assert await outcomes(parts, late) == {Outcome.SUPERSEDED}
        first = [edited(Op.PUT, n, 900) for n in range(3_000, 6_000)]
        assert await outcomes(parts, first) == {Outcome.APPLIED}
        with valkey.client() as link:
            sizes = [link.strlen(name) for name in keys.FORGOTTEN]
        assert sizes.pop(PARTITION) == BITS_BYTES
        assert set(sizes) == {0}


@pytest.mark.parametrize("how", ["founded", "changed", "adopted"])
async def test_the_key_is_there_before_anything_is_forgotten(valkey: Server, how: str) -> None:
    """While a cluster moves a partition, it refuses calls that name a key which is not there."""
    async with process(valkey) as parts:
        await outcomes(parts, [edited(Op.PUT, 1, 10)])
        with valkey.client() as link:
            if how != "founded":  # as a version without it has left the partition
                link.hdel(keys.META[PARTITION], "roster")
                link.delete(keys.FORGOTTEN[PARTITION])
            if how == "changed":
                await outcomes(parts, [edited(Op.PUT, 1, 20)])
            elif how == "adopted":
                await adopt(parts.store, [PARTITION])
            assert link.exists(keys.FORGOTTEN[PARTITION])


@pytest.mark.parametrize("forgotten", [False, True])
async def test_a_change_asks_about_the_forgotten_only_where_it_may_be_of_them(
    valkey: Server, forgotten: bool
) -> None:
    async with process(valkey) as parts:
        if forgotten:
            await listed_and_forgotten(parts, 1)
        await outcomes(parts, [edited(Op.PUT, 2, int(time.time() * 1_000))])
        with valkey.client() as link:
            link.config_resetstat()
            now_ms = int(time.time() * 1_000)
            await outcomes(parts, [edited(Op.PUT, n, now_ms) for n in (2, 3)])
            await outcomes(parts, [edited(Op.REMOVE, 3, 900)])
            assert "cmdstat_bitfield_ro" not in link.info("commandstats")
