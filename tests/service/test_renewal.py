from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import msgspec
import pytest

from roster import keys
from roster.records.change import Change
from roster.records.entry import Op
from roster.storage.api_keys import KeyStore
from roster.storage.images import renew
from roster.storage.lease import Holder
from roster.storage.retention import RetentionPeriods
from service.background import renewal
from service.background.forgetting import Forgetting
from service.background.renewal import Renewer
from tests.service.parts import DAY_MS, WAIT, Parts, process

if TYPE_CHECKING:
    from roster.filter import TokenFilter
    from roster.storage.store import Store
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
    return Renewer(parts.store, parts.screener, forgetting(parts), 7)


def forgetting(parts: Parts) -> Forgetting:
    terms = RetentionPeriods(90 * DAY_MS, 30 * DAY_MS, 7 * DAY_MS, 90 * DAY_MS)
    return Forgetting(parts.store, KeyStore(parts.store.nodes, WAIT), terms, b"\1")


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


class Renewals:
    """Which partitions were renewed by whomever."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.numbers: list[int] = []
        monkeypatch.setattr(renewal, "renew", self.renew)
        monkeypatch.setattr(renewal, "BUSY_PER_S", 1e9)

    async def renew(self, store: Store, number: int, cutoff_ms: int) -> TokenFilter | None:
        self.numbers.append(number)
        return await renew(store, number, cutoff_ms)


async def test_one_process_renews_keeps_the_lease_and_hands_it_on(
    valkey: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with process(valkey) as parts:
        await parts.cover()
        await parts.follower.poll()
        renewals = Renewals(monkeypatch)
        first, second = renewer(parts, monkeypatch), renewer(parts, monkeypatch)
        await first.tick()
        await change(parts, Op.PUT, 30, 10)
        await second.tick()
        assert renewals.numbers == []
        await first.tick()
        assert renewals.numbers == [NUMBER]
        await parts.follower.poll()
        await change(parts, Op.PUT, 30, 11)
        await first.leave()
        await second.tick()
        assert renewals.numbers == [NUMBER, NUMBER]
        await parts.follower.poll()
        await change(parts, Op.PUT, 30, 12)
        await first.tick()
        assert renewals.numbers == [NUMBER, NUMBER]


async def test_who_has_died_with_the_lease_keeps_nobody_from_renewing(
    valkey: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with process(valkey) as parts:
        await parts.cover()
        renewals = Renewals(monkeypatch)
        dead = Holder(socket.gethostname(), 2**22 + 1, "1", "nonce")
        with valkey.client() as link:
            link.set(keys.RENEWAL, msgspec.json.encode(dead))
        second = renewer(parts, monkeypatch)
        await change(parts, Op.PUT, 30, 10)
        await second.tick()
        assert renewals.numbers == [NUMBER]


async def test_an_older_version_with_the_lease_is_waited_for(
    valkey: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with process(valkey) as parts:
        await parts.cover()
        renewals = Renewals(monkeypatch)
        with valkey.client() as link:
            link.set(keys.RENEWAL, "0123456789ab", px=60_000)
            newer = renewer(parts, monkeypatch)
            await change(parts, Op.PUT, 30, 10)
            await newer.tick()
            assert renewals.numbers == []
            link.delete(keys.RENEWAL)
        await newer.tick()
        assert renewals.numbers == [NUMBER]
