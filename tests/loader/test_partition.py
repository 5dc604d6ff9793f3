"""A partition's calls: one after the other, each made ready while Redis answers the one before."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import pytest

from loader.partitions.partition import MergeCall, PartitionJob, in_turn
from roster.storage.snapshots import Snapshot, SnapshotMerge

if TYPE_CHECKING:
    from collections.abc import Iterator

JOB = PartitionJob(5, Snapshot(b"\1", 100, "nonce", 1_000), 3, b"", covered=False)


class Slow:
    """Merges that take as long as they are let, and note what happens to them."""

    def __init__(self) -> None:
        self.noted: list[str] = []
        self.may_answer = asyncio.Event()

    def parts(self, count: int, *, then_fails: bool = False) -> Iterator[MergeCall]:
        for number in range(count):
            self.noted.append(f"made {number}")
            yield MergeCall([], number)
        if then_fails:
            raise OSError

    async def merge(self, _partition: int, _buckets: object, how: Any) -> int:  # noqa: ANN401 -- options
        number: int = how.upto
        self.noted.append(f"sent {number}")
        try:
            await self.may_answer.wait()
        except asyncio.CancelledError:
            self.noted.append(f"cancelled {number}")
            raise
        self.noted.append(f"answered {number}")
        return number


async def test_the_next_call_is_made_ready_while_redis_answers_and_sent_behind_that() -> None:
    slow = Slow()
    slow.may_answer.set()
    merging = cast("SnapshotMerge", slow)
    assert [part.upto async for part, _ in in_turn(merging, JOB, slow.parts(3))] == [0, 1, 2]
    assert slow.noted == [
        "made 0", "sent 0", "answered 0", "made 1",
        "sent 1", "answered 1", "made 2",
        "sent 2", "answered 2",
    ]  # fmt: skip
    slow = Slow()
    calls = in_turn(cast("SnapshotMerge", slow), JOB, slow.parts(2))
    first = asyncio.ensure_future(anext(calls))
    while len(slow.noted) < 3:  # noqa: ASYNC110 -- the call's own task makes it so
        await asyncio.sleep(0)
    assert slow.noted == ["made 0", "sent 0", "made 1"]
    slow.may_answer.set()
    await first
    assert [part.upto async for part, _ in calls] == [1]


async def test_no_call_is_left_behind_where_the_next_cannot_be_made_ready() -> None:
    slow = Slow()
    with pytest.raises(OSError):  # noqa: PT011 -- ours has no text
        async for _ in in_turn(cast("SnapshotMerge", slow), JOB, slow.parts(1, then_fails=True)):
            pass
    await asyncio.sleep(0)
    assert slow.noted[-1] == "cancelled 0"
