"""A key has its share of a process' places, and the rest is others'."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from service.routes.checks import CHECK
from service.server.admission import IN_FLIGHT_MAX, Gate
from tests.service.apps import make_key, settings_for
from tests.service.rosters import AIR, OTHER, desk

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers import Server


async def last_until(over: asyncio.Event) -> None:
    await over.wait()


async def test_a_key_that_has_its_share_leaves_places_to_others(
    valkey: Server, tmp_path: Path
) -> None:
    async with desk(valkey, tmp_path) as api:
        keys = [await make_key(settings_for(valkey, tmp_path), ("check",)) for _ in range(2)]
        greedy, other = (f"Bearer {key}".encode() for key in keys)
        for header in (greedy, other):  # both are known
            told = {"authorization": header.decode()}
            asked = {"document": OTHER, "journey": AIR}
            assert (await api.client.post("/v1/check", json=asked, headers=told)).is_success
        over = asyncio.Event()
        gate, tasks = Gate(asyncio.get_running_loop(), api.service, set()), []
        scope = {"path": CHECK, "headers": [(b"authorization", greedy)]}
        while not gate.full_for(greedy):
            tasks.append(asyncio.create_task(last_until(over)))
            gate.count(tasks[-1], scope)
        assert len(tasks) == IN_FLIGHT_MAX * 3 // 4
        assert not gate.full_for(other)
        over.set()
        await asyncio.wait(tasks)
        assert not gate.full_for(greedy)
