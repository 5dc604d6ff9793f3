"""A key has its share of a process' places, and the rest is others'."""

from __future__ import annotations

import asyncio
import json
import math
from typing import TYPE_CHECKING

import pytest
import uvicorn
from uvicorn.server import ServerState

from service.routes.checks import BATCH, CHECK
from service.server.admission import BYTES_PER_CHECK, CONTENDED, Gate, ServerContext
from service.server.protocol import Protocol
from tests.service.apps import make_key, settings_for, started
from tests.service.rosters import AIR, OTHER, covered, desk

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers import Server


async def last_until(over: asyncio.Event) -> None:
    await over.wait()


@pytest.mark.parametrize(
    ("path", "size", "weight"),
    [(CHECK, 60_000, 1), (BATCH, 0, 1), (BATCH, 60_000, 15), (f"{BATCH}/", 60_000, 15)],
)
async def test_a_key_that_has_its_share_leaves_places_to_others(
    valkey: Server, tmp_path: Path, path: str, size: int, weight: int
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
        scope = {"path": path, "headers": [(b"authorization", greedy)]}
        while not gate.full_for(greedy):
            tasks.append(asyncio.create_task(last_until(over)))
            gate.count(tasks[-1], scope, size)
        assert len(tasks) == math.ceil(CONTENDED / weight)
        assert gate.in_flight == len(tasks) * weight
        assert not gate.full_for(other)
        over.set()
        await asyncio.wait(tasks)
        assert not gate.full_for(greedy)


def chunked(body: bytes) -> bytes:
    parts = [body[at : at + 10_000] for at in range(0, len(body), 10_000)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (*parts, b""))


@pytest.mark.parametrize("size", [60_000, 200_000])  # is begun when it has come; before that
@pytest.mark.parametrize("path", [BATCH, f"{BATCH}/"])
@pytest.mark.parametrize("stated", [True, False])
async def test_a_batch_counts_for_what_has_come_of_it(
    valkey: Server, tmp_path: Path, *, stated: bool, path: str, size: int
) -> None:
    settings, loop, state = (
        settings_for(valkey, tmp_path),
        asyncio.get_running_loop(),
        ServerState(),
    )
    body = json.dumps({"items": [{"document": OTHER}], "journey": AIR}).encode().ljust(size)
    length = f"Content-Length: {size}" if stated else "Transfer-Encoding: chunked"
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\n{length}\r\nAuthorization: Bearer "
    async with started(settings) as (app, _):
        await covered(app.state.service)
        key = await make_key(settings, ("check",))
        loop, config = asyncio.get_running_loop(), uvicorn.Config(app, log_config=None)
        gate = Gate(loop, app.state.service, state.tasks)
        config.load()

        def made() -> Protocol:
            protocol = Protocol(config, state, {})
            protocol.context = ServerContext(gate, app.state.service, 5.0)
            protocol.left = lambda: None
            return protocol

        async with await loop.create_server(made, "127.0.0.1", 0) as server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            sent = body if stated else chunked(body)
            writer.write(f"{head}{key}\r\n\r\n".encode() + sent)
            told, most = asyncio.create_task(reader.readline()), 0
            while not told.done():
                most = max(most, gate.in_flight)
                await asyncio.sleep(0)
            writer.close()
            await writer.wait_closed()
    assert told.result() == b"HTTP/1.1 200 OK\r\n"
    assert most == 1 + size // BYTES_PER_CHECK
