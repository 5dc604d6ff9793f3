"""An audit whose writes hang holds up no check; what was recorded meanwhile is written later."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from statistics import median
from typing import TYPE_CHECKING

import msgspec

from roster.redis.connection import CHANGE_TIMEOUT_S
from roster.settings import Settings
from tests.service.apps import settings_for, started
from tests.service.audited import faults, recorded
from tests.service.rosters import LISTED, Desk, covered, edit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.servers import Server

CHUNK_BYTES = 1 << 16
CHECKS = 200
PROMPT_S = 1.0
"""More than half of the checks take less, also where the machine stands still now and then."""
WORST_S = 0.8 * CHANGE_TIMEOUT_S
"""Whoever waits for a write that hangs waits until it is given up, which is later."""


class Between:
    """Between a process and its server; holds back whatever a connection sends from an XADD on."""

    def __init__(self, server: Server, folder: Path) -> None:
        self._server = server
        self.socket = folder / "between.sock"
        self.open = asyncio.Event()
        self.open.set()
        self.held = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        server = await asyncio.start_unix_server(self._take, str(self.socket))
        async with server:
            yield
            self.open.set()
            server.close()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_unix_connection(str(self._server.socket))
        await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(CHUNK_BYTES):
            if b"\r\nXADD\r\n" in data and not self.open.is_set():
                self.held += 1
                await self.open.wait()
            writer.write(data)
            await writer.drain()
        writer.close()


def through(settings: Settings, between: Between) -> Settings:
    return msgspec.structs.replace(settings, redis_url=f"unix://{between.socket}")


async def are_prompt(desk: Desk, count: int) -> None:
    """So many checks of a listed person, each of which is a record more, wait for no write."""
    took_s = []
    for _ in range(count):
        began_s = time.monotonic()
        assert (await desk.check(LISTED))["decision"] == "deny"
        took_s.append(time.monotonic() - began_s)
    assert (median(took_s) < PROMPT_S, max(took_s) < WORST_S) == (True, True)


async def test_an_audit_whose_writes_hang_delays_no_check(
    valkey: Server, short_folder: Path
) -> None:
    between = Between(valkey, short_folder)
    settings = through(settings_for(valkey, short_folder), between)
    async with between.running(), started(settings) as (app, client):
        service = app.state.service
        await covered(service)
        desk = Desk(client, service)
        await desk.change(edit("put"), wait="all")
        between.open.clear()
        async with asyncio.timeout(20):
            while not between.held:
                await are_prompt(desk, 10)
        await are_prompt(desk, CHECKS)
        assert service.audit.waiting >= CHECKS
        between.open.set()
        denials = await recorded(client, service)
        assert sum(each["kind"] == "decision" for each in denials) >= CHECKS
        assert service.audit.lost == 0
        assert await faults(client) == []
