"""Connections: upgrades that are offered, idle ones, slow ones, and more of them than files."""

from __future__ import annotations

import asyncio
import json
import resource
import select
import shutil
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import pytest

from roster.settings import read_settings
from tests.servers import eventually
from tests.service.apps import make_key
from tests.service.served import CLEAR, Caller, Served

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers import Server
    from tests.service.served import Running

OFFER = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAEAAEAAAAIAAAAB")


@pytest.fixture
def served(valkey: Server, short_folder: Path) -> Iterator[Running]:
    service = Served(valkey, short_folder, keep_alive_s="1")
    service.cover()
    with service.running() as running:
        yield running


def passed(moment: float) -> bool:
    return time.monotonic() >= moment


@pytest.mark.parametrize("scopes", [("ops",), ("list:read", "list:remove"), ("standing",)])
def test_a_key_that_may_not_check_is_refused_also_where_nothing_is_waited_for(
    valkey: Server, short_folder: Path, scopes: tuple[str, ...]
) -> None:
    service = Served(valkey, short_folder)
    service.cover()
    key = asyncio.run(make_key(read_settings(service.settings), scopes))
    with service.running() as running, Caller(running.port, key) as caller:
        for _ in range(3):  # the second time the key is known
            status, _, body = caller.ask(caller.check())
            assert (status, json.loads(body)["status"]) == (403, 403)


def test_a_limited_key_is_limited_also_where_nothing_is_waited_for(
    valkey: Server, short_folder: Path
) -> None:
    service = Served(valkey, short_folder)
    service.cover()
    terms = {"rate": 0.001, "burst": 2}
    key = asyncio.run(make_key(read_settings(service.settings), ("check",), **terms))
    with service.running() as running, Caller(running.port, key) as caller:
        statuses = [caller.ask(caller.check())[0] for _ in range(4)]
    assert statuses == [200, 200, 429, 429]


def test_an_offered_upgrade_is_ignored(served: Running) -> None:
    with served.connect() as caller:
        for _ in range(2):
            status, headers, body = caller.ask(caller.check(CLEAR, *OFFER))
            assert (status, json.loads(body)["decision"]) == (200, "allow")
            assert "upgrade" not in headers


def test_an_offered_upgrade_is_ignored_however_it_is_cut(served: Running) -> None:
    with served.connect() as caller:
        request = caller.check(CLEAR, *OFFER)
        for cut in range(1, len(request), 17):
            caller.send(request[:cut])
            caller.send(request[cut:])
            assert caller.answer()[0] == 200, cut
        caller.send(request * 50 + caller.check())
        assert [caller.answer()[0] for _ in range(51)] == [200] * 51


def test_a_websocket_is_not_served(served: Running) -> None:
    with served.connect() as caller:
        offer = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13")
        status, _, _ = caller.ask(caller.request("GET", "/healthz", b"", *offer))
        assert status == 200


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl here")
def test_curl_may_offer_http_2(served: Running) -> None:
    body = json.dumps({"document": CLEAR, "journey": {"mode": "air"}})
    command = ["curl", "-sS", "--http2", "-d", "@-", f"{served.url}/v1/check"]
    done = subprocess.run(
        [*command, "-H", f"Authorization: Bearer {served.key}"],
        input=body.encode(),
        capture_output=True,
        check=True,
    )
    assert json.loads(done.stdout)["decision"] == "allow"


@pytest.mark.parametrize(
    "sent",
    [
        b"EHLO 11010518491231002X\r\n\r\n",
        b"POST /v1/check HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
    ],
)
def test_what_is_no_http_is_a_problem_too(sent: bytes, served: Running) -> None:
    with served.connect() as caller:
        status, headers, body = caller.ask(sent)
        assert status == 400
        assert headers["content-type"] == "application/problem+json"
        assert json.loads(body)["detail"] == "this is not a request of HTTP/1.1"
        assert b"11010518491231002X" not in body
        assert caller.answer()[0] == 0


def test_a_request_in_the_moment_of_the_idle_end_is_answered(served: Running) -> None:
    callers = [served.connect() for _ in range(40)]
    for caller in callers:
        assert caller.ask(caller.check())[0] == 200
    begun = time.monotonic()
    for index, caller in enumerate(callers):  # just before and just after the promised second
        eventually(partial(passed, begun + 0.98 + index * 0.001))
        assert caller.ask(caller.check())[0] == 200
    for caller in callers:
        assert caller.answer()[0] == 0
        caller.__exit__()
    assert time.monotonic() - begun < 6


def test_an_idle_connection_ends_after_its_time(served: Running) -> None:
    with served.connect() as caller:
        caller.ask(caller.check())
        asked = time.monotonic()
        assert caller.answer()[0] == 0
        assert 1 <= time.monotonic() - asked < 4


@pytest.mark.timeout(60)
def test_a_head_that_does_not_end_is_ended(served: Running) -> None:
    begun = time.monotonic()
    with served.connect() as caller, served.connect() as mute, served.connect() as slow:
        for each in (caller, slow):
            each.send(b"GET /healthz HTTP/1.1\r\nHost: ")
        drip(slow, time.monotonic() + 20)
        for each in (caller, slow):
            status, headers, _ = each.answer()
            assert (status, headers["connection"]) == (408, "close")
            assert each.answer()[0] == 0
        assert mute.answer()[0] == 0
        assert 9 < time.monotonic() - begun < 14


def drip(caller: Caller, until: float) -> None:
    """Send a byte a second until there is an answer."""
    while time.monotonic() < until:
        caller.send(b"x")
        if select.select([caller.socket], [], [], 1)[0]:
            return
    raise AssertionError("nothing was answered")


@pytest.mark.timeout(120)
def test_who_reads_hardly_any_answers_for_half_a_minute_is_cut_off(served: Running) -> None:
    with served.connect() as mute, narrow(served) as slow, ThreadPoolExecutor(2) as threads:
        asking = [threads.submit(ask_and_read, mute, 0), threads.submit(ask_and_read, slow, 256)]
        for each in asking:
            with pytest.raises(ConnectionError):
                each.result()


def narrow(served: Running) -> Caller:
    """A connection whose window opens in small steps."""
    caller = served.connect()
    caller.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2_048)
    return caller


def ask_and_read(caller: Caller, size: int) -> None:
    """Ask, and read so many bytes a second; raises ConnectionError where the caller is cut off."""
    caller.socket.settimeout(1)
    asked, at = caller.request("GET", "/schema/openapi.json") * 200, 0
    until = time.monotonic() + 90
    while time.monotonic() < until:
        with suppress(TimeoutError):  # no more is taken for now
            at = (at + caller.socket.send(asked[at:])) % len(asked)
        with suppress(TimeoutError):  # nothing has come
            if size and not caller.socket.recv(size):
                raise ConnectionError


@pytest.mark.timeout(90)
def test_a_body_that_does_not_end_is_ended(served: Running) -> None:
    begun = time.monotonic()
    with served.connect() as caller, served.connect() as other, served.connect() as slow:
        for path, each in (("/v1/check", caller), ("/v1/changes", other), ("/v1/check", slow)):
            each.socket.settimeout(40)
            each.send(each.request("POST", path, b"{" * 100)[:-50])
        drip(slow, begun + 50)
        for each in (caller, other, slow):
            assert each.answer()[0] == 408
            assert each.answer()[0] == 0
    assert 29 < time.monotonic() - begun < 36
    assert "request failed" not in served.log


def test_newcomers_beyond_the_bound_harm_nobody(valkey: Server, short_folder: Path) -> None:
    service = Served(valkey, short_folder)
    service.cover()

    def few_files() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))

    with service.running(preexec_fn=few_files) as served:
        callers: list[Caller] = []
        for _ in range(90):
            callers.append(served.connect())
            assert callers[-1].ask(callers[-1].check())[0] == 200
        newcomers = [socket.create_connection(("127.0.0.1", served.port)) for _ in range(300)]
        eventually(lambda: "connections at their bound" in served.log)
        for caller in callers:
            assert caller.ask(caller.check())[0] == 200
        for each in newcomers:
            each.close()
        eventually(served.ready)
        for caller in callers:
            assert caller.ask(caller.check())[0] == 200
            caller.__exit__()


def test_a_newcomer_beyond_the_bound_may_probe_and_remove(
    valkey: Server, short_folder: Path
) -> None:
    service = Served(valkey, short_folder)
    service.cover()

    def few_files() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))

    with service.running(preexec_fn=few_files) as served:
        callers = [served.connect() for _ in range(100)]
        for caller in callers[:90]:
            assert caller.ask(caller.check())[0] == 200
        with served.connect() as late:
            status, headers, _ = late.ask(late.request("GET", "/readyz"))
            assert (status, headers["connection"]) == (200, "close")
        with served.connect() as late:
            status, headers, body = late.ask(late.check())
            assert (status, headers["connection"]) == (429, "close")
            assert json.loads(body)["retry_after_ms"] > 0
            assert "retry-after" in headers
        for more in (b"", callers[0].check() * 3, b"no request\r\n\r\n"):
            with served.connect() as late:  # it sends more than lies in any buffer
                sent = late.request("POST", "/v1/check/batch", b" " * (1 << 20))
                status, headers, _ = late.ask(sent + more)
                assert (status, headers["connection"]) == (429, "close")
                assert late.answer()[0] == 0
        for caller in callers:
            caller.__exit__()
