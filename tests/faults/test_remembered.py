"""What a process keeps of a log that is gone, however it went."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple

import pytest

from roster import keys
from roster.errors import Unavailable
from roster.records.entry import Op
from roster.rules.lists import load_lists
from roster.storage.lost import losses
from roster.storage.rewinds import accept
from service.background.losses import LossKeeper
from service.commands.losses import Judging, preview
from service.feed.log import FeedLog
from service.following.share import Listener
from tests.faults.test_rewound import OTHER_OF, SX, known_to, saved
from tests.service.parts import DAY_MS, process
from tests.service.test_screening import LISTED

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from roster.storage.lost import Losses
    from tests.servers import Server
    from tests.service.parts import Parts

FAR_MS = 4_000_000_000_000


class Remembering(NamedTuple):
    """A process that keeps what is lost, and the partition of `LISTED`."""

    parts: Parts
    keeper: LossKeeper
    number: int

    async def found(self) -> Losses:
        metas = await self.parts.store.metas()
        return await losses(self.parts.store, {n: m for n, m in enumerate(metas) if m.rewound})


@asynccontextmanager
async def remembering(valkey: Server, name: str = "it") -> AsyncIterator[Remembering]:
    log = FeedLog()
    async with process(valkey, name=name, listener=Listener(log.take)) as parts:
        keeper = LossKeeper(log.lost, parts.store, parts.screener, DAY_MS)
        await parts.cover(SX)
        await parts.change(LISTED, Op.PUT, 10)
        await parts.follower.poll()
        yield Remembering(parts, keeper, parts.token(LISTED)[1])


async def test_what_another_branch_has_put_in_its_place_is_not_taken_for_it(
    valkey: Server,
) -> None:
    async with remembering(valkey) as (parts, keeper, number):
        restore = saved(valkey, number)
        lost = await parts.change(LISTED, Op.REMOVE, 11)
        await parts.follower.poll()
        known_to(parts, lost.position)
        restore()  # a fail-over to a replica that had not got it, and that went on
        for revision in (20, 21, 22):
            await parts.change(OTHER_OF[number], Op.PUT, revision)
        await parts.follower.poll()
        await keeper.write()
        found = await Remembering(parts, keeper, number).found()
        assert [(each.op, each.position) for each in found.entries] == [(Op.REMOVE, lost.position)]


async def test_two_processes_remember_together_and_nothing_twice(valkey: Server) -> None:
    async with remembering(valkey) as one, remembering(valkey, "other") as two:
        parts, number = one.parts, one.number
        await two.parts.follower.poll()
        restore = saved(valkey, number)
        first = await parts.change(LISTED, Op.SUSPEND, 11)
        await two.parts.follower.poll()
        last = await parts.change(LISTED, Op.REMOVE, 12)
        await parts.follower.poll()
        known_to(parts, last.position)
        restore()
        for each in (one, two):
            await each.parts.follower.poll()
            await each.keeper.write()
        found = await one.found()
        assert [each.position for each in found.entries] == [first.position, last.position]
        assert (found.changes, found.complete) == (2, True)
        assert found.kept_ms <= first.applied_at_ms
        await accept(parts.store)
        for each in (one, two):
            await each.parts.follower.poll()
            await each.keeper.write()
        assert (await one.found()).entries == []
        with valkey.client() as link:
            assert not link.exists(keys.LOST[number])


async def test_an_earlier_loss_that_was_accepted_is_none_of_the_next(valkey: Server) -> None:
    async with remembering(valkey) as each:
        parts, keeper, number = each
        for revision in (11, 13):
            restore = saved(valkey, number)
            lost = await parts.change(LISTED, Op.REMOVE, revision)
            await parts.follower.poll()
            known_to(parts, lost.position)
            restore()
            await parts.follower.poll()
            await keeper.write()
            found = await each.found()
            assert [entry.position for entry in found.entries] == [lost.position]
            await accept(parts.store)  # the process that would clear up has died
            await parts.follower.poll()


async def test_a_lost_first_load_is_told_as_one(valkey: Server) -> None:
    async with remembering(valkey) as each:
        parts, keeper, number = each
        restore = saved(valkey, number)
        await parts.cover(2)
        lost = await parts.change(LISTED, Op.REMOVE, 11)
        await parts.follower.poll()
        known_to(parts, lost.position)
        restore()
        await parts.follower.poll()
        await keeper.write()
        people = Judging(load_lists(None), parts.tokeniser.entry_hash, FAR_MS)
        told = await preview(parts.store, await parts.store.metas(), people)
        assert (told.denied_again, told.complete) == (1, False)
        assert told.lists["xgl"].first_load


async def test_whose_user_may_not_write_it_tries_once_and_keeps_nothing(valkey: Server) -> None:
    log = FeedLog()
    async with process(valkey, listener=Listener(log.take)) as parts:
        await parts.cover(SX)
        await parts.change(LISTED, Op.PUT, 10)
        await parts.follower.poll()
        number = parts.token(LISTED)[1]
        restore = saved(valkey, number)
        lost = await parts.change(LISTED, Op.REMOVE, 11)
        await parts.follower.poll()
        known_to(parts, lost.position)
        restore()
        await parts.follower.poll()
        with valkey.client() as link:
            link.execute_command("ACL", "SETUSER", "default", "-hset")
        try:
            keeper = LossKeeper(log.lost, parts.store, parts.screener, DAY_MS)
            with pytest.raises(Unavailable, match="NOPERM"):
                await keeper.write()
            assert not log.lost.entries
            await keeper.write()
        finally:
            with valkey.client() as link:
                link.execute_command("ACL", "SETUSER", "default", "+@all")
