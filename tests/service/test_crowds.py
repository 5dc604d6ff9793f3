"""Many callers: one key leaves others their places, and silent ones leave room for a probe."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import socket
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from roster.settings import read_settings
from service.server.admission import BYTES_PER_CHECK, CONTENDED
from tests.servers import eventually
from tests.service.apps import make_key
from tests.service.served import LISTED, Caller, Served

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import Server
    from tests.service.served import Running

CROWD = 10_000
OURS = 1_000
"""Files that this process needs besides."""
MOST_BYTES = 40_000
"""Of memory for a connection that says nothing."""


@contextmanager
def paused(running: Running) -> Iterator[None]:
    """What is sent meanwhile comes within one moment."""
    os.kill(running.process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(running.process.pid, signal.SIGCONT)


@pytest.mark.parametrize("path", ["/v1/check", "/v1/check/batch"])
def test_one_key_leaves_others_their_places(valkey: Server, short_folder: Path, path: str) -> None:
    service = Served(valkey, short_folder, redis_timeout_ms="1000")
    service.cover()
    keys = [asyncio.run(make_key(read_settings(service.settings), ("check",))) for _ in range(3)]
    asked: dict[str, object] = {"document": LISTED, "journey": {"mode": "air"}}
    body = json.dumps(asked if path == "/v1/check" else {"items": [asked]}).encode()
    body += b" " * (0 if path == "/v1/check" else 60_000)
    weight = 1 + len(body) // BYTES_PER_CHECK
    with service.running() as running, ExitStack() as stack:
        greedy, other, third = (
            [stack.enter_context(Caller(running.port, key)) for _ in range(count)]
            for key, count in zip(keys, (800 // weight, 20, 20), strict=True)
        )
        for caller in (*greedy, *other, *third):  # all of them and their keys are known
            assert caller.ask(caller.check())[0] == 200
        with paused(running):
            for caller in greedy:
                caller.send(caller.request("POST", path, body))
            for caller in (*other, *third):
                caller.send(caller.check(LISTED))
        assert {caller.answer()[0] for caller in (*other, *third)} == {200}
        statuses = [caller.answer()[0] for caller in greedy]
    # Whoever waits unread may find a place yet: that any is turned away depends on the machine.
    assert set(statuses) <= {200, 429}
    assert statuses.count(200) * weight >= CONTENDED // 2


def rss_bytes(pid: int) -> int:
    fields = Path(f"/proc/{pid}/statm").read_text().split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture
def many_files() -> Iterator[int]:
    """How many connections this process may hold, as many as it is allowed to."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = 2 * CROWD + OURS if hard == resource.RLIM_INFINITY else min(hard, 2 * CROWD + OURS)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))
    yield min(CROWD, (max(soft, most) - OURS) // 2)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.timeout(120)
def test_ten_thousand_connections_cost_little_and_harm_nobody(
    valkey: Server, short_folder: Path, many_files: int
) -> None:
    service = Served(valkey, short_folder)
    service.cover()
    with service.running() as running, ExitStack() as stack:
        pid = running.process.pid
        before = rss_bytes(pid)
        caller = stack.enter_context(running.connect())
        for number in range(many_files):
            stack.enter_context(socket.create_connection(("127.0.0.1", running.port), timeout=20))
            if number % 1_000 == 0:
                assert caller.ask(caller.check())[0] == 200
        with running.connect() as late:
            assert late.ask(late.request("GET", "/readyz"))[0] == 200
            assert late.ask(late.check())[0] == 200
        assert caller.ask(caller.check())[0] == 200
        assert rss_bytes(pid) - before < MOST_BYTES * many_files
        assert "cannot accept" not in running.log


def few_files() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))


def test_silent_newcomers_beyond_the_bound_leave_room_for_a_probe(
    valkey: Server, short_folder: Path
) -> None:
    service = Served(valkey, short_folder)
    service.cover()
    with service.running(preexec_fn=few_files) as running, ExitStack() as stack:
        callers = [stack.enter_context(running.connect()) for _ in range(96)]
        for caller in callers:
            assert caller.ask(caller.check())[0] == 200
        for number in range(300):
            mute = socket.create_connection(("127.0.0.1", running.port), timeout=20)
            stack.enter_context(mute)
            if number % 10 == 0:  # says something, and never all
                mute.sendall(b"POST /v1/changes HTTP/1.1\r\nContent-Length: 9\r\n\r\n{")
        eventually(lambda: "connections at their bound" in running.log)
        with running.connect() as probe:
            assert probe.ask(probe.request("GET", "/readyz"))[0] == 200
        for caller in callers:  # nobody who was taken in was turned out
            assert caller.ask(caller.check())[0] == 200
