"""Whoever waits for all processes is answered, whatever becomes of the look at them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from roster import keys
from roster.errors import Unavailable
from roster.storage.processes import Processes
from service.changing.propagation import Confirmer
from tests.rosters import opened
from tests.service.test_processes import AT_7, ids, other

if TYPE_CHECKING:
    from tests.servers import Server

UNREADABLE = (b"", b"no time", b"12 \xc1", b"x \x80", b"1 \x80")


async def test_a_listing_that_cannot_be_read_keeps_nobody_waiting(valkey: Server) -> None:
    async with opened(valkey) as store:
        processes = Processes(store.nodes)
        await processes.announce(other())
        with valkey.client() as client:
            client.hset(keys.PROCESSES, mapping={f"bad{n}": v for n, v in enumerate(UNREADABLE)})
        assert await ids(processes) == ["other"]
        async with asyncio.timeout(10):
            found = await Confirmer(store, processes).confirmed([AT_7], 2_000)
        assert found == {"confirmed": ["other"], "missing": []}


async def test_an_unforeseen_error_answers_all_who_wait(
    valkey: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(valkey) as store:
        processes = Processes(store.nodes)
        confirmer = Confirmer(store, processes)

        async def broken() -> None:
            raise RuntimeError

        monkeypatch.setattr(processes, "live", broken)
        async with asyncio.timeout(10):
            waiting = [confirmer.confirmed([AT_7], 30_000) for _ in range(3)]
            found = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(each) for each in found] == [Unavailable] * 3
        monkeypatch.undo()
        await processes.announce(other())
        assert (await confirmer.confirmed([AT_7], 2_000))["confirmed"] == ["other"]


async def test_whoever_waits_is_answered_though_nobody_looks_any_more(
    valkey: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(valkey) as store:
        confirmer = Confirmer(store, Processes(store.nodes))

        async def dies() -> None:
            raise asyncio.CancelledError

        monkeypatch.setattr(confirmer, "_look_on", dies)
        async with asyncio.timeout(10):
            with pytest.raises(Unavailable):
                await confirmer.confirmed([AT_7], 10)
