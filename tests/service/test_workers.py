"""Workers that serve are not ended because another cannot start."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from uvicorn.config import STARTUP_FAILURE

from service.metrics.families import gauge
from service.server import workers as supervising
from service.server.link import ADDED_UP, READY, Link, pack
from service.server.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

BROKEN = "TEST_WORKERS_BROKEN"


def work(_listening: socket.socket, link: Connection, _others: bool) -> None:
    """Ready at once, until it is ended; fails where the folder has a file `broken`."""
    folder = Path(os.environ[BROKEN])
    if (folder / "broken").exists():
        (folder / f"failed-{os.getpid()}").touch()
        sys.exit(STARTUP_FAILURE)
    link.send_bytes(READY)
    link.poll(None)


def ready(workers: Workers) -> list[int]:
    found = [each for each in workers._workers if each.ready and each.alive]
    return [each.process.pid for each in found if each.process.pid is not None]


async def until(found: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not found():  # noqa: ASYNC110 -- processes make it so
            await asyncio.sleep(0.01)


async def test_a_replacement_that_cannot_start_leaves_the_others_serving(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(BROKEN, str(tmp_path))
    monkeypatch.setattr(supervising, "AGAIN_S", 0.01)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        workers = Workers(work, listening, 2, 0)
        running = asyncio.create_task(workers.run())
        await until(lambda: len(ready(workers)) == 2)
        kept, killed = ready(workers)
        (tmp_path / "broken").touch()
        os.kill(killed, signal.SIGKILL)
        await until(lambda: len(list(tmp_path.glob("failed-*"))) >= 2)
        assert ready(workers) == [kept]
        (tmp_path / "broken").unlink()
        await until(lambda: len(ready(workers)) == 2)
        assert kept in ready(workers)
        workers._end_all()
        assert await running


def linger(_listening: socket.socket, link: Connection, others: bool) -> None:
    """Ready at once, or never where others are; until it is ended."""
    if not others:
        link.send_bytes(READY)
    link.poll(None)


async def test_the_end_waits_for_no_replacement_that_is_not_ready() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        workers = Workers(linger, listening, 1, 0)
        running = asyncio.create_task(workers.run())
        await until(lambda: len(ready(workers)) == 1)
        workers._roll()
        await until(lambda: workers._coming is not None)
        workers._end_all()
        async with asyncio.timeout(supervising.READY_S / 2):
            assert await running


async def test_none_that_can_start_ends_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(BROKEN, str(tmp_path))
    (tmp_path / "broken").touch()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        async with asyncio.timeout(60):
            assert not await Workers(work, listening, 1, 0).run()


async def test_whoever_asks_while_a_question_is_under_way_shares_its_answer() -> None:
    ours, theirs = multiprocessing.Pipe()
    link = Link(ours)
    link.open(lambda _retired: None)
    try:
        for value in (1.0, 2.0):
            asking = [asyncio.create_task(link.together([])) for _ in range(50)]
            await until(theirs.poll)
            theirs.recv_bytes()
            asking[0].cancel()  # who has asked may hang up
            await asyncio.wait(asking[:1])
            assert not theirs.poll(), "a second question"
            told = [gauge("people", "People.", value)]
            theirs.send_bytes(ADDED_UP + pack(told))
            assert await asyncio.gather(*asking[1:]) == [told] * 49
    finally:
        asyncio.get_running_loop().remove_reader(ours.fileno())
        ours.close()
        theirs.close()
