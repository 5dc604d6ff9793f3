from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING, Any

import pytest

from roster.errors import Unavailable
from roster.filter import TokenFilter
from roster.keys import FIELD
from roster.records.change import Change
from roster.records.entry import Op
from roster.storage.images import renew
from roster.storage.store import TAIL_BYTES, TAIL_ENTRIES
from service.following import catching_up
from service.following.catching_up import CatchUp
from tests.service.parts import WAIT, Parts, process

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from roster.records.position import Position
    from roster.records.replies import Tail
    from tests.servers import Server

PARTITIONS = 64


def token(partition: int, n: int) -> bytes:
    return bytes((0, partition)) + (n % 1024).to_bytes(2) + n.to_bytes(12)


async def put(parts: Parts, partition: int, count: int, content: bytes = b"content") -> None:
    changes = [
        Change(token(partition, n), 1, Op.PUT, 10, bytes(6), content, bytes(8))
        for n in range(count)
    ]
    for at in range(0, count, 1_000):
        await parts.store.apply(changes[at : at + 1_000], WAIT)


class Watched:
    """What the follower's store was asked for, and what came back; it may be made to fail."""

    def __init__(self, parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
        self.entries: list[int] = []
        self.bytes: list[int] = []
        self.limits: list[int] = []
        self.failing = 0
        store = parts.follower._means.store
        self._poll = store.poll
        monkeypatch.setattr(store, "poll", self.poll)

    async def poll(self, asked: Any, high: Any, limit: int, listing: Any) -> Any:  # noqa: ANN401 -- the store's
        self.limits.append(limit * len(asked))
        if self.failing:
            self.failing -= 1
            raise Unavailable("Redis did not answer in time")
        got = await self._poll(asked, high, limit, listing)
        self.entries.append(sum(len(tail.logged) for tail in got.tails.values()))
        self.bytes.append(sum(len(data) for tail in got.tails.values() for data in tail.logged))
        return got


async def test_no_request_of_a_poll_reads_more_than_a_share(
    valkey: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with process(valkey) as parts:
        await parts.cover()
        await parts.follower.poll()
        for partition in range(PARTITIONS):
            await put(parts, partition, 100)
        await put(parts, 7, 4_000)
        watched = Watched(parts, monkeypatch)
        assert await parts.follower.poll()
        assert parts.screener.fresh
        assert max(watched.entries) <= TAIL_ENTRIES
        assert sum(watched.entries) == PARTITIONS * 100 + 4_000
        assert all(parts.screener.may_be_listed(token(7, n)) for n in range(4_000))
        assert all(parts.screener.may_be_listed(token(p, 99)) for p in range(PARTITIONS))


async def test_a_share_of_great_entries_has_no_more_bytes(
    valkey: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with process(valkey) as parts:
        await parts.cover()
        await parts.follower.poll()
        great = os.urandom(20_000)
        await put(parts, 7, 100, great)
        watched = Watched(parts, monkeypatch)
        assert await parts.follower.poll()
        assert max(watched.bytes) <= TAIL_BYTES + 21_000
        assert sum(watched.entries) == 100


async def test_a_poll_that_takes_long_ends_and_the_next_goes_on_from_there(
    valkey: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with process(valkey) as parts:
        await parts.cover()
        await parts.follower.poll()
        await put(parts, 7, 2_000)
        await put(parts, 8, 1)
        monkeypatch.setattr(catching_up, "SLICE_S", 0.0)
        seen = []
        for _ in range(200):
            complete = await parts.follower.poll()
            assert parts.screener.may_be_listed(token(8, 0))
            seen.append(parts.screener.partitions[7].position.seq)
            if complete:
                break
        assert seen == sorted(set(seen))
        assert len(seen) > 10
        assert parts.screener.may_be_listed(token(7, 1_999))


async def test_after_a_time_out_less_is_asked_for_and_nothing_is_read_twice(
    valkey: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with process(valkey) as parts:
        await parts.cover()
        await parts.follower.poll()
        for partition in range(PARTITIONS):
            await put(parts, partition, 50)
        watched = Watched(parts, monkeypatch)
        watched.failing = 2
        assert [await parts.follower.poll() for _ in range(3)] == [False, False, True]
        assert watched.limits[0] == TAIL_ENTRIES
        assert watched.limits[2] <= watched.limits[1] // 2 <= watched.limits[0] // 4
        assert sum(watched.entries) == PARTITIONS * 50


async def test_a_start_that_fails_half_way_keeps_what_it_has_made(
    valkey: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with process(valkey) as parts:
        await parts.cover()
        watched = Watched(parts, monkeypatch)
        store = parts.follower._means.store
        images, asked = store.images, 0

        async def failing(numbers: list[int]) -> Any:  # noqa: ANN401 -- as the store's
            nonlocal asked
            asked += len(numbers)
            watched.failing = int(asked == 32)
            return await images(numbers)

        monkeypatch.setattr(store, "images", failing)
        assert not await parts.follower.poll()
        assert await parts.follower.poll()
        assert asked == PARTITIONS + 16


async def test_a_log_that_is_longer_than_the_roster_is_not_read_at_the_start(
    valkey: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with process(valkey) as parts:
        await parts.cover()
        again = [
            Change(token(7, n % 10), 1, Op.PUT, 10 + n, bytes(6), b"content", bytes(8))
            for n in range(3_000)
        ]
        await parts.store.apply(again, WAIT)
        watched = Watched(parts, monkeypatch)
        assert await parts.follower.poll()
        assert sum(watched.entries) < 1_000
        assert parts.screener.may_be_listed(token(7, 9))


async def test_a_newer_image_spares_a_process_the_log_before_it(
    valkey: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with process(valkey) as parts:
        await parts.cover()
        await parts.follower.poll()
        await put(parts, 7, 5_000)
        end = (await parts.store.tails({7: None}, {}))[7].position
        token_filter = TokenFilter(5_000)
        token_filter.add_fields(b"".join(token(7, n)[FIELD] for n in range(5_000)))
        assert await parts.store.set_image(end, token_filter.to_bytes())
        watched = Watched(parts, monkeypatch)
        assert await parts.follower.poll()
        assert parts.screener.fresh
        assert sum(watched.entries) < 500
        assert parts.screener.may_be_listed(token(7, 4_999))


async def longest_block_ms(work: Awaitable[object]) -> float:
    """How long others had to wait at most while this was done, but for other programs' time."""
    longest_s = 0.0
    task = asyncio.ensure_future(work)
    while not task.done():
        before = time.thread_time()
        await asyncio.sleep(0)
        longest_s = max(longest_s, time.thread_time() - before)
    await task
    return longest_s * 1000


async def test_catching_up_keeps_nobody_waiting_long(valkey: Server) -> None:
    """10 ms are aimed at; a slower machine gets more."""
    async with process(valkey) as parts:
        await parts.cover()
        await parts.follower.poll()
        for partition in range(PARTITIONS):
            await put(parts, partition, 500)
        blocks = [await longest_block_ms(parts.follower.poll())]
        blocks += [await longest_block_ms(renew(parts.store, number)) for number in range(8)]
        blocks.append(await longest_block_ms(parts.follower.poll()))
        assert parts.screener.fresh

        assert max(blocks) < 30, blocks


async def test_what_two_shares_read_of_one_partition_is_taken_once(valkey: Server) -> None:
    """While a slot moves, both its old and its new server's share may follow it."""
    async with process(valkey) as parts:
        await parts.cover()
        await parts.follower.poll()
        told: list[int] = []

        def on_tail(_: Position, tail: Tail) -> None:
            told.append(len(tail.logged))

        old, new = (CatchUp(parts.store, parts.screener, on_tail) for _ in range(2))
        await put(parts, 7, 3)
        slow = await old.tails([7])
        assert await new.apply(await new.tails([7])) == {7}
        after = parts.screener.partitions[7].position
        await put(parts, 7, 1)
        assert await new.apply(await new.tails([7])) == {7}
        assert await old.apply(slow) == {7}
        assert parts.screener.partitions[7].position.seq == after.seq + 1
        assert told == [3, 1]
