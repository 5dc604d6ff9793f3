"""Lists that were disabled: they stay so until they are enabled, and no longer than that."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from roster.keys import LISTS
from roster.storage.disabled import Disabled, DisabledLists
from service.web.ended import Ended
from tests.service.parts import WAIT, process

if TYPE_CHECKING:
    from tests.servers import Server


async def off(lists: DisabledLists, ended: Ended) -> frozenset[str]:
    """What a process that looks now takes for disabled."""
    found = await lists.all()
    return ended.off(found, await lists.enabled() if ended.missing(found) else {})


def drill(since_ms: int = 0) -> Disabled:
    return Disabled("drill", since_ms or time.time_ns() // 1_000_000)


async def test_an_enabling_ends_also_the_disablings_that_it_did_not_follow_at_once(
    valkey: Server,
) -> None:
    async with process(valkey) as parts:
        lists, ended = DisabledLists(parts.store.nodes, WAIT), Ended()
        await lists.disable("sx", drill(1_000))
        assert await off(lists, ended) == {"sx"}
        with valkey.client() as client:
            client.delete(LISTS)  # as an older version enables, and as a backup does
        assert await off(lists, ended) == {"sx"}
        await lists.disable("sx", drill())  # this one the process does not see
        assert await lists.enable("sx")
        assert await off(lists, ended) == set()


async def test_enabling_a_list_that_only_processes_remember_as_disabled_ends_that(
    valkey: Server,
) -> None:
    async with process(valkey) as parts:
        lists, ended = DisabledLists(parts.store.nodes, WAIT), Ended()
        await lists.disable("sx", drill())
        await lists.disable("train_g", drill())
        assert await off(lists, ended) == {"sx", "train_g"}
        with valkey.client() as client:
            client.delete(LISTS)
        assert not await lists.enable("sx")
        assert await off(lists, ended) == {"train_g"}
        assert ended.lists == {"train_g"}


async def test_a_disabling_after_an_enabling_is_remembered_whatever_the_clocks_say(
    valkey: Server,
) -> None:
    async with process(valkey) as parts:
        lists, ended = DisabledLists(parts.store.nodes, WAIT), Ended()
        await lists.disable("sx", drill())
        await lists.enable("sx")
        await lists.disable("sx", drill(1_000))  # by a machine whose clock is behind
        assert await off(lists, ended) == {"sx"}
        with valkey.client() as client:
            client.delete(LISTS)
        assert await off(lists, ended) == {"sx"}
        await lists.enable("sx")
        assert await off(lists, ended) == set()
