from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from roster.change import Change
from roster.entry import Op
from service import renewal
from service.renewal import Renewer
from tests.service.parts import WAIT, Parts, process

if TYPE_CHECKING:
    from tests.servers import Server

NUMBER = 7


def token(n: int) -> bytes:
    return bytes((0, NUMBER)) + (n % 1024).to_bytes(2) + n.to_bytes(12)


async def change(parts: Parts, op: Op, count: int, revision: int) -> None:
    changes = [
        Change(token(n), 1, op, revision, bytes(6), b"content", lenient=op is Op.REMOVE)
        for n in range(count)
    ]
    await parts.store.apply(changes, WAIT)
    await parts.follower.poll()


def renewer(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> Renewer:
    monkeypatch.setattr(renewal, "LEAST_CHANGES", 20)
    monkeypatch.setattr(renewal, "SHARE_OF_CAPACITY", 0)
    return Renewer(parts.store, parts.screener, "p1", 7)


async def test_who_left_the_roster_leaves_the_filter_with_the_next_image(
    valkey: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with process(valkey) as parts:
        await parts.cover()
        renewing = renewer(parts, monkeypatch)
        await change(parts, Op.PUT, 15, 10)
        await change(parts, Op.REMOVE, 14, 11)
        monkeypatch.setattr(renewal, "BUSY_PER_S", 1e9)
        await renewing.tick()
        await parts.follower.poll()
        assert [parts.screener.may_be_listed(token(n)) for n in (0, 13, 14)] == [False, False, True]


async def test_an_image_waits_while_many_changes_come_in(
    valkey: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with process(valkey) as parts:
        await parts.cover()
        renewing = renewer(parts, monkeypatch)
        await change(parts, Op.PUT, 30, 10)
        image = parts.screener.partitions[NUMBER].image
        await renewing.tick()  # they have come since the renewer was made: just now
        await parts.follower.poll()
        assert parts.screener.partitions[NUMBER].image == image
        await renewing.tick()
        await parts.follower.poll()
        assert parts.screener.partitions[NUMBER].image != image


async def test_an_image_that_is_long_due_waits_no_longer(
    valkey: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with process(valkey) as parts:
        await parts.cover()
        renewing = renewer(parts, monkeypatch)
        await change(parts, Op.PUT, 20 * renewal.PATIENCE, 10)
        image = parts.screener.partitions[NUMBER].image
        await renewing.tick()
        await parts.follower.poll()
        assert parts.screener.partitions[NUMBER].image != image
