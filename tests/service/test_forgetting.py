from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from roster import keys
from roster.errors import LoadRefused, Unauthorised
from roster.filter import TokenFilter
from roster.records.change import Change
from roster.records.entry import Op, Outcome
from roster.storage.api_keys import KeyStore, KeyTerms
from roster.storage.buckets import buckets_of
from roster.storage.histories import histories
from roster.storage.retention import BucketRange, RetentionPeriods, forget
from roster.storage.snapshots import Bucket, MergeOptions, Snapshot, SnapshotMerge
from service.background import forgetting
from service.background.forgetting import Forgetting
from service.web.auth import Access
from tests.service.parts import DAY_MS, WAIT, Parts, process

if TYPE_CHECKING:
    from roster.records.replies import Applied
    from tests.servers import Server

NUMBER = 7
LIST = 1
OTHER = 2
SOON_MS = -1_000
"""What was done within this test's milliseconds is old, too."""
NOW = RetentionPeriods(SOON_MS, SOON_MS, SOON_MS, SOON_MS)
LATER = RetentionPeriods(90 * DAY_MS, 30 * DAY_MS, 7 * DAY_MS, 90 * DAY_MS)


@pytest.fixture(autouse=True)
def all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forgetting, "PAUSE_S", 0)
    monkeypatch.setattr(forgetting, "STEPS_A_SHARE", forgetting.STEPS)


def token(n: int, partition: int = NUMBER) -> bytes:
    return bytes((0, partition)) + (n % 1024).to_bytes(2) + n.to_bytes(12)


async def edit(parts: Parts, op: Op, n: int, revision: int, code: int = LIST) -> Applied:
    lenient = op in {Op.REMOVE, Op.SUSPEND}
    change = Change(token(n), code, op, revision, bytes(6), b"content", bytes(8), lenient=lenient)
    (applied,) = await parts.store.apply([change], WAIT)
    return applied


def rounds(parts: Parts, terms: RetentionPeriods = NOW) -> Forgetting:
    lists = bytes((LIST, OTHER))
    return Forgetting(parts.store, KeyStore(parts.store.nodes, WAIT), terms, lists)


async def count(parts: Parts, name: bytes) -> int:
    return sum(int(meta.held.get(name, 0)) for meta in await parts.store.metas())


async def test_a_tombstone_of_a_list_without_files_ends_and_nothing_brings_it_back(
    valkey: Server,
) -> None:
    async with process(valkey) as parts:
        await edit(parts, Op.PUT, 1, 10)
        await edit(parts, Op.REMOVE, 1, 20)
        await edit(parts, Op.PUT, 2, 15)
        await rounds(parts).share()
        assert await buckets_of(parts.store, NUMBER, [1]) == [{}]
        assert await count(parts, b"n:1:3") == 0
        late = await edit(parts, Op.PUT, 1, 10)
        assert (late.outcome, late.state.name) == (Outcome.SUPERSEDED, "ABSENT")
        assert (await edit(parts, Op.PUT, 1, 21)).outcome is Outcome.APPLIED
        assert await count(parts, b"n:1:1") == 2
        assert await count(parts, b"ever") >= 2


async def test_a_tombstone_that_is_not_old_stays(valkey: Server) -> None:
    async with process(valkey) as parts:
        await edit(parts, Op.PUT, 1, 10)
        await edit(parts, Op.REMOVE, 1, 20)
        await rounds(parts, LATER).share()
        assert await count(parts, b"n:1:3") == 1


async def test_a_list_with_files_keeps_its_tombstones_for_them(valkey: Server) -> None:
    async with process(valkey) as parts:
        now_ms = (await parts.store.tails({0: None}, {}))[0].now_ms
        await parts.cover(LIST, now_ms + 60_000)
        for code in (LIST, OTHER):
            await edit(parts, Op.REMOVE, 1, 20, code)
        await rounds(parts).share()
        assert await count(parts, b"n:1:3") == 1
        assert await count(parts, b"n:2:3") == 0


async def test_nothing_is_forgotten_while_a_partition_is_rewound(valkey: Server) -> None:
    async with process(valkey) as parts:
        await edit(parts, Op.REMOVE, 1, 20)
        with valkey.client() as link:
            link.hset(keys.META[NUMBER], "rewound", 1)
        await rounds(parts).share()
        assert await count(parts, b"n:1:3") == 1


async def test_a_file_from_before_a_forgotten_removal_is_refused(valkey: Server) -> None:
    async with process(valkey) as parts:
        await edit(parts, Op.PUT, 1, 10)
        await edit(parts, Op.REMOVE, 1, 20)
        await rounds(parts).share()
        for as_of, taken in ((19, False), (20, False), (21, True)):
            merging = SnapshotMerge(parts.store, Snapshot(bytes((LIST,)), as_of, "n", 30 * DAY_MS))
            if taken:
                await merging.begin([NUMBER])
                continue
            with pytest.raises(LoadRefused, match="removals"):
                await merging.begin([NUMBER])


async def test_a_file_that_ended_what_is_forgotten_since_is_taken_again(valkey: Server) -> None:
    async with process(valkey) as parts:
        await edit(parts, Op.PUT, 1, 10)
        for _ in range(2):
            merging = SnapshotMerge(parts.store, Snapshot(bytes((LIST,)), 30, "n", 30 * DAY_MS))
            (begun,) = await merging.begin([NUMBER])
            await merging.merge(NUMBER, [Bucket(1, b"", b"")], MergeOptions(upto=1024))
            await merging.finish(begun.position, TokenFilter().to_bytes())
            await rounds(parts).share()
            await forget(parts.store, BucketRange(NUMBER, range(32), 2**47), NOW, bytes((LIST,)))
            assert await buckets_of(parts.store, NUMBER, [1]) == [{}]


async def test_a_list_that_comes_in_old_files_has_files(valkey: Server) -> None:
    async with process(valkey) as parts:
        await parts.cover(LIST, 30)
        for code in (LIST, OTHER):
            applied = await edit(parts, Op.REMOVE, 1, 40, code)
        place = BucketRange(NUMBER, range(32), applied.applied_at_ms + 60_000)
        await forget(parts.store, place, RetentionPeriods(0, 40_000, 0, 0), bytes((LIST, OTHER)))
        assert await count(parts, b"n:1:3") == 1
        assert await count(parts, b"n:2:3") == 0


async def test_who_is_forgotten_in_between_is_never_listed_again_by_a_late_change(
    valkey: Server,
) -> None:
    """The same changes, with rounds between them and without: nobody is listed only with them."""
    chosen = random.Random(7)
    ops = (Op.PUT, Op.PUT, Op.REMOVE, Op.SUSPEND, Op.RESUME)
    edits = [
        (chosen.choice(ops), chosen.randrange(12), chosen.randrange(1, 40)) for _ in range(400)
    ]
    place = BucketRange(NUMBER, range(32), 2**47)
    async with process(valkey) as parts:
        for step, (op, n, revision) in enumerate(edits):
            await edit(parts, op, n, revision, LIST)
            await edit(parts, op, n + 100, revision, OTHER)
            if step % 7 == 0:
                await forget(parts.store, place, NOW, bytes((LIST,)))
            with_rounds = await live(parts, range(12))
            assert with_rounds <= {n - 100 for n in await live(parts, range(100, 112))}


async def live(parts: Parts, people: range) -> set[int]:
    fields = await parts.store.fields(NUMBER, range(keys.BUCKETS))
    return {n for n in people if token(n)[4:] in fields}


async def test_a_history_is_forgotten_soon_after_a_start_and_once_a_day(valkey: Server) -> None:
    async with process(valkey) as parts:
        await edit(parts, Op.PUT, 1, 10)
        await rounds(parts).share()
        assert await histories(parts.store, [token(1)]) == [[]]
        await edit(parts, Op.PUT, 1, 11)
        await rounds(parts).share()  # after a restart, within the day
        assert len((await histories(parts.store, [token(1)]))[0]) == 1


async def test_a_restart_goes_on_where_the_round_was(
    valkey: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forgetting, "STEPS_A_SHARE", forgetting.STEPS // 2)
    async with process(valkey) as parts:
        near, far = token(1, 3), token(1, 60)
        for each in (near, far):
            change = Change(each, LIST, Op.PUT, 10, bytes(6), b"content", bytes(8))
            await parts.store.apply([change], WAIT)
        left = []
        for _ in range(2):
            await rounds(parts).share()
            left.append([any(await histories(parts.store, [each])) for each in (near, far)])
        assert left == [[False, True], [False, False]]


async def test_the_log_goes_when_it_is_old_and_an_image_has_it(valkey: Server) -> None:
    async with process(valkey) as parts:
        await parts.cover()
        for n in range(50):
            await edit(parts, Op.PUT, n, 10)
        await parts.follower.poll()
        await rounds(parts).share()
        with valkey.client() as link:
            assert link.xlen(keys.LOG[NUMBER]) <= 1
        assert await parts.follower.poll()
        assert parts.screener.may_be_listed(token(49))


async def test_a_revoked_key_goes_after_a_while_and_is_not_taken_for_a_lost_one(
    valkey: Server,
) -> None:
    async with process(valkey) as parts:
        store = KeyStore(parts.store.nodes, WAIT)
        gone, gone_text = await store.create(KeyTerms(name="a", scopes=("check",)), 1_000)
        stays, text = await store.create(KeyTerms(name="b", scopes=("check",)), 1_000)
        late, _ = await store.create(KeyTerms(name="c", scopes=("check",)), 1_000)
        access = Access(store, 900)
        await store.revoke(gone.id, 2_000)
        await store.revoke(late.id, 2**50)
        await access.refresh()
        await rounds(parts).share()
        assert set(await store.all()) == {stays.id, late.id}
        await access.refresh()
        with pytest.raises(Unauthorised):
            await access.authorise(f"Bearer {gone_text}".encode())
        assert (await access.authorise(f"Bearer {text}".encode())).id == stays.id
