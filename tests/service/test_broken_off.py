"""Callers who break off, or never read what they are told, keep no place from others."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import struct
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from tests.servers import eventually
from tests.service.served import CLEAR, LISTED, Served

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.servers import Server
    from tests.service.served import Caller, Running

PEOPLE = [CLEAR, LISTED]
EACH = 150
"""So often a caller breaks off at each stage, half of them with a reset."""
DEAF = 6
"""A batch of theirs counts for 128 places: four of them would take all."""


def batch(caller: Caller, count: int, length: int = 0) -> bytes:
    """So many checks in one request, padded to a length."""
    checks = [{"document": CLEAR} for _ in range(count)]
    body = json.dumps({"items": checks, "journey": {"mode": "air"}}).encode()
    return caller.request("POST", "/v1/check/batch", body.ljust(length))


def stages(caller: Caller) -> dict[str, bytes]:
    """What a caller has sent when it breaks off."""
    check, listed = caller.check(), caller.check(LISTED)
    head = check.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    chunked = caller.request("POST", "/v1/check", b"", "Transfer-Encoding: chunked")
    long = caller.request("POST", "/v1/check/batch", b" " * 200_000)
    asks = caller.check(CLEAR, "Expect: 100-continue").partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    return {
        "nothing": b"",
        "part of a head": check[:40],
        "a head": head,
        "part of a body": check[:-5],
        "all": listed,
        "several": (check + listed) * 5,
        "several and a part": check * 3 + listed[:-5],
        "part of chunks": chunked + b"5\r\n12345\r\n7\r\n123",
        "all chunks": chunked + b"5\r\n12345\r\n0\r\n\r\n",
        "part of what is long": long[:100_000],
        "what is long": long,
        "an expectation": asks,
        "part of a batch": batch(caller, 100)[:-5],
        "a batch": batch(caller, 100),
        "HEAD": caller.request("HEAD", "/v1/check") * 2,
        "no route": caller.request("GET", "/nowhere") * 2,
        "no request": b"\x16\x03\x01",
        "an upgrade": caller.check(CLEAR, "Connection: Upgrade", "Upgrade: h2c"),
        "part of an upgrade": caller.check(CLEAR, "Connection: Upgrade", "Upgrade: h2c")[:-5],
    }


def break_off(running: Running, data: bytes, number: int) -> None:
    """Send it and go, every second time with a reset."""
    caller = running.connect()
    with caller, suppress(OSError):
        if number % 2:
            caller.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        caller.send(data)


@contextmanager
def stopped(*pids: int) -> Iterator[None]:
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def metric(running: Running, name: str) -> int:
    with running.client() as client:
        found = re.search(rf"^clearway_{name} (\S+)$", client.get("/metrics").text, re.MULTILINE)
    assert found is not None
    return int(float(found[1]))


def nothing_is_kept(running: Running) -> Callable[[], bool]:
    return lambda: metric(running, "checks_in_flight") == 0


@pytest.mark.timeout(180)
def test_who_breaks_off_keeps_no_place(valkey: Server, short_folder: Path) -> None:
    """At every stage of a request, thousands of times, and while the process has no turn."""
    service = Served(valkey, short_folder)
    service.cover()
    with service.running() as running:
        with running.connect() as caller:
            sent = stages(caller)
        for data in sent.values():
            for number in range(EACH):
                break_off(running, data, number)
            eventually(nothing_is_kept(running))
        for data in sent.values():
            with stopped(running.process.pid):
                for number in range(EACH):
                    break_off(running, data, number)
            eventually(nothing_is_kept(running))
        eventually(nothing_is_kept(running))
        all_are_answered(running)


def test_who_breaks_off_while_redis_is_silent_keeps_no_place(
    make_server: Callable[..., Server], short_folder: Path
) -> None:
    server = make_server()
    service = Served(server, short_folder, redis_timeout_ms="300")
    service.cover()
    with service.running() as running:
        with running.connect() as caller:
            sent = [caller.check(LISTED), batch(caller, 50), caller.check(LISTED) * 3]
        with stopped(server.pid):
            for number in range(900):
                break_off(running, sent[number % 3], number)
            eventually(nothing_is_kept(running))
        eventually(running.ready)
        all_are_answered(running)


def all_are_answered(running: Running) -> None:
    """Nobody is refused."""
    refused = metric(running, "refused_total")
    with running.connect() as caller:
        for number in range(300):
            assert caller.ask(caller.check(PEOPLE[number % 2]))[0] == 200
    assert metric(running, "refused_total") == refused


def test_who_reads_no_answers_keeps_no_place(valkey: Server, short_folder: Path) -> None:
    """They ask on and on, and their answers fill all buffers between; once they read, all come."""
    service = Served(valkey, short_folder)
    service.cover()
    with service.running() as running, ExitStack() as stack:
        deaf = [stack.enter_context(running.connect()) for _ in range(DEAF)]
        sent = [ask_on(each) for each in deaf]
        eventually(nothing_is_kept(running))
        all_are_answered(running)
        assert sent[0] > 1
        for _ in range(sent[0]):
            assert deaf[0].answer()[0] == 200
        assert nothing_is_kept(running)()


def ask_on(caller: Caller) -> int:
    """Send heavy batches until no more is taken; how many were."""
    heavy = batch(caller, 1_000, 520_000)
    caller.socket.settimeout(1)
    for number in range(200):
        try:
            caller.send(heavy)
        except TimeoutError:
            caller.socket.settimeout(20)
            return number
    pytest.fail("all were taken")
