"""What becomes of checks and changes where the disk of Redis is full.

The disk is a limit on the size of files here: to write beyond it fails as on a full disk.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import redis
from structlog.testing import capture_logs

from tests.servers import eventually
from tests.service.rosters import LISTED, OTHER, desk, edit

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.servers import Server
    from tests.service.rosters import Desk

BLOCKS = 4_000
"""Of 512 or 1,024 bytes, as the shell has it."""
CUT = "trap '' XFSZ; ulimit -f {blocks}; exec {binary} \"$@\""
FILLING = b"x" * 100_000


@pytest.fixture
def small_disk(valkey_binary: str, short_folder: Path) -> Path:
    """A Valkey that finds room for a few megabytes of append-only file."""
    script = short_folder / "valkey-server"
    script.write_text(f"#!/bin/sh\n{CUT.format(blocks=BLOCKS, binary=valkey_binary)}\n")
    script.chmod(0o700)
    return script


def fill(server: Server) -> str:
    """Write until there is no more room: what is said then."""
    with server.client() as client:
        try:
            while True:
                client.rpush("filling", FILLING)
        except redis.RedisError as exc:
            return f"{type(exc).__name__} {exc}"


async def told(api: Desk) -> list[str]:
    return [(await api.check(each))["decision"] for each in (LISTED, OTHER)]


async def until_acknowledged(api: Desk, change: dict[str, Any]) -> None:
    """Send the same again, as a 503 asks for."""
    async with asyncio.timeout(20):
        while (await api.client.post("/v1/changes", json={"changes": [change]})).status_code == 503:  # noqa: ASYNC110 -- the server makes it so
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("policy", ["always", "everysec"])
async def test_a_full_disk_refers_who_may_be_listed_and_loses_nothing(
    policy: str,
    small_disk: Path,
    valkey_binary: str,
    make_server: Callable[..., Server],
    tmp_path: Path,
) -> None:
    server = make_server({"appendfsync": policy}, binary=str(small_disk))
    ends = policy == "always"
    async with desk(server, tmp_path) as api:
        await api.change(edit("put"), wait="all")
        assert ("ConnectionError" if ends else "MISCONF") in fill(server)
        if ends:
            eventually(lambda: not server.running)
        assert server.running is not ends
        assert await told(api) == ["refer", "allow"]
        await api.post("/v1/changes", {"changes": [edit("remove", 11)]}, 503)
        server.kill()
        server.binary = valkey_binary  # there is room again
        server.start()
        await until_acknowledged(api, edit("put", 12, document=OTHER))
        async with asyncio.timeout(20):
            while await told(api) != ["deny", "deny"]:  # noqa: ASYNC110 -- the service makes it so
                await asyncio.sleep(0.02)


async def test_a_data_folder_that_cannot_be_written_is_told_of_and_checks_go_on(
    valkey: Server, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.touch()
    with capture_logs() as lines:
        async with desk(valkey, tmp_path, data_dir=str(file / "data")) as api:
            await api.change(edit("put"), wait="all")
            async with asyncio.timeout(20):
                while "not remembered" not in {line["event"] for line in lines}:  # noqa: ASYNC110 -- the service makes it so
                    await asyncio.sleep(0.02)
            assert await told(api) == ["deny", "allow"]
