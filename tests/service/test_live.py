"""The stream of figures: what it tells when, when it ends, and what it costs others."""

from __future__ import annotations

import asyncio
import json
import resource
import signal
import socket
import time
from contextlib import ExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import msgspec
import pytest

from roster.storage.api_keys import KeyStore, key_id
from service.background import live
from service.background.live import Figures, Live, event
from service.feed.log import FeedLog
from service.openapi.documented import ReadyAnswer, RosterAnswer
from service.openapi.trends import TrendAnswer
from tests.servers import eventually
from tests.service.apps import bearer, make_key
from tests.service.parts import WAIT
from tests.service.rosters import LISTED, desk, edit
from tests.service.served import Served
from tests.service.test_feed_polls import served

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.servers import Server
    from tests.service.rosters import Desk

PATIENT_S = 20
LONG = "/v1/live?for_ms=60000"


class Told(msgspec.Struct):
    """An event as it came."""

    name: str
    id: str
    data: Any


class Stream:
    """A stream that is open, read event by event."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer
        self._lines = answer.aiter_lines()
        self.seen: list[Told] = []

    async def next(self) -> Told | None:
        """The next event; None where the stream has ended."""
        fields: dict[str, str] = {}
        async for line in self._lines:
            if not line:
                told = Told(fields["event"], fields["id"], json.loads(fields["data"]))
                self.seen.append(told)
                return told
            name, _, value = line.partition(": ")
            fields[name] = value
        return None

    async def until(self, name: str, **wanted: Any) -> Told:  # noqa: ANN401 -- JSON
        """The next event of this name in whose data stands what is wanted."""
        async with asyncio.timeout(PATIENT_S):
            while told := await self.next():
                if told.name == name and wanted.items() <= told.data.items():
                    return told
        raise AssertionError("the stream has ended")

    async def end(self) -> None:
        """Read on until it ends."""
        async with asyncio.timeout(PATIENT_S):
            while await self.next():
                pass


@asynccontextmanager
async def streaming(url: str, key: str, path: str = LONG) -> AsyncIterator[Stream]:
    async with (
        httpx.AsyncClient(base_url=url, headers=bearer(key), timeout=PATIENT_S) as client,
        client.stream("GET", path) as answer,
    ):
        yield Stream(answer)


def events(text: str) -> list[Told]:
    """The events of a whole answer."""
    found = []
    for block in text.split("\n\n")[:-1]:
        fields = dict(line.split(": ", 1) for line in block.split("\n"))
        found.append(Told(fields["event"], fields["id"], json.loads(fields["data"])))
    return found


async def open_streams(api: Desk) -> int:
    text = (await api.client.get("/metrics")).text
    return int(float(text.split("\nclearway_live_streams ")[1].split("\n")[0]))


async def until_open(api: Desk, count: int) -> None:
    async with asyncio.timeout(PATIENT_S):
        while await open_streams(api) != count:  # noqa: ASYNC110 -- others open and end them
            await asyncio.sleep(0.01)


async def test_each_kind_is_told_once_as_its_own_route_tells_it(
    valkey: Server, tmp_path: Path
) -> None:
    async with desk(valkey, tmp_path) as api:
        answer = await api.client.get("/v1/live")
        assert answer.headers["content-type"] == "text/event-stream"
        assert answer.headers["cache-control"] == "no-store"
        state, roster, trend = events(answer.text)
        assert [each.name for each in (state, roster, trend)] == ["state", "roster", "trend"]
        assert msgspec.convert(state.data, ReadyAnswer).ready
        assert msgspec.convert(roster.data, RosterAnswer).people == 0
        assert msgspec.convert(trend.data, TrendAnswer).process
        assert state.id.endswith("Z")
        for query in ("for_ms=-1", "for_ms=3600001", "for_ms=x"):
            refused = await api.client.get(f"/v1/live?{query}")
            assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, "for_ms")
        assert (await api.client.get("/v1/live/?for_ms=1000")).status_code == 404
        assert (await api.client.post("/v1/live")).status_code == 405
        async with asyncio.timeout(PATIENT_S):
            head = await api.client.head(LONG)
        assert (head.status_code, head.content) == (200, b"")


async def test_a_change_is_told_at_once_and_a_short_stream_ends(
    valkey: Server, tmp_path: Path
) -> None:
    async with served(valkey, tmp_path) as (api, port):
        key = await make_key(api.service.settings, ["ops:read"])
        async with streaming(f"http://127.0.0.1:{port}", key) as stream:
            assert stream.answer.headers["x-accel-buffering"] == "no"
            await stream.until("roster", people=0)
            await api.change(edit("put"))
            began_s = time.monotonic()
            await stream.until("roster", people=1)
            assert time.monotonic() - began_s < 5  # tests/page measures it
        async with streaming(f"http://127.0.0.1:{port}", key, "/v1/live?for_ms=1500") as stream:
            await stream.end()
            assert {each.name for each in stream.seen} == {"state", "roster", "trend"}
            assert len([each for each in stream.seen if each.name == "state"]) > 1
        await until_open(api, 0)


async def test_streams_are_capped_for_a_key_and_for_the_process(
    valkey: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "STREAMS_A_KEY", 2)
    monkeypatch.setattr(live, "STREAMS_MAX", 3)
    async with served(valkey, tmp_path) as (api, port):
        url = f"http://127.0.0.1:{port}"
        one, two = [await make_key(api.service.settings, ["ops:read"]) for _ in range(2)]
        async with streaming(url, one) as first, streaming(url, one):
            async with streaming(url, one) as refused:
                assert refused.answer.status_code == 429
                assert int(refused.answer.headers["retry-after"]) >= 1
            async with streaming(url, two) as other:
                await other.until("roster")
                async with streaming(url, two) as refused:
                    assert refused.answer.status_code == 429
            await first.until("roster")
            assert api.service.counters.in_flight() == 0
        await until_open(api, 0)
        async with streaming(url, one) as again:
            await again.until("roster")


async def test_a_stream_of_a_key_that_is_revoked_meanwhile_ends(
    valkey: Server, tmp_path: Path
) -> None:
    async with served(valkey, tmp_path) as (api, port):
        text = await make_key(api.service.settings, ["ops:read"])
        async with streaming(f"http://127.0.0.1:{port}", text) as stream:
            await stream.until("roster")
            store = KeyStore(api.service.changes_store.nodes, WAIT)
            await store.revoke(str(key_id(text.encode())), 1)
            await stream.end()
        await until_open(api, 0)


async def test_while_redis_is_silent_the_state_is_told_and_what_cannot_be(
    valkey: Server, tmp_path: Path
) -> None:
    async with served(valkey, tmp_path) as (api, port):
        key = await make_key(api.service.settings, ["ops:read"])
        async with streaming(f"http://127.0.0.1:{port}", key) as stream:
            await stream.until("roster")
            valkey.pause()
            try:
                await stream.until("problem", of="roster", status=503)
                await stream.until("state", degraded=["stale"])
            finally:
                valkey.resume()
            await stream.until("roster")
            await stream.until("state", degraded=[])


async def test_a_client_that_does_not_read_or_has_gone_holds_nothing(
    valkey: Server, tmp_path: Path
) -> None:
    async with served(valkey, tmp_path) as (api, port):
        key = await make_key(api.service.settings, ["ops:read"])
        head = f"GET {LONG} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n\r\n".encode()
        deaf = []
        for _ in range(3):
            each = socket.create_connection(("127.0.0.1", port))
            each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            each.sendall(head)
            deaf.append(each)
        await until_open(api, 3)
        async with streaming(f"http://127.0.0.1:{port}", key) as stream:
            for _ in range(3):
                await stream.until("roster")
            for each in deaf:
                each.close()
            await until_open(api, 1)
        await until_open(api, 0)


async def test_whoever_reads_slowly_gets_the_newest_of_each_kind_and_no_more() -> None:
    made = 0

    async def make() -> bytes:
        nonlocal made
        made += 1
        return event("roster", b"%d" % made)

    figures = Live(FeedLog())
    with figures.opened("k", {"roster": Figures(make, 0.0)}):
        reading = figures.news(60)
        first = await anext(reading)
        async with asyncio.timeout(PATIENT_S):
            while made < 5:  # noqa: ASYNC110 -- the streams' own task makes them
                await asyncio.sleep(0.01)
        second = await anext(reading)
        assert b"data: 1\n" in first
        assert second.count(b"event: ") == 1
        assert int(second.split(b"data: ")[1]) >= 4
        assert figures.open == 1
    assert figures.open == 0
    await asyncio.sleep(0)
    so_far = made
    await asyncio.sleep(2 * live.LEAST_S)
    assert made == so_far  # nobody looks on


async def test_what_cannot_be_made_is_tried_again() -> None:
    tries = 0

    async def make() -> bytes:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise ValueError("no figures of this kind")
        return event("roster", b"{}")

    figures = Live(FeedLog())
    with figures.opened("k", {"roster": Figures(make, 0.0)}):
        async with asyncio.timeout(PATIENT_S):
            assert b"event: roster" in await anext(figures.news(60))


def test_a_stream_ends_with_the_drain_and_tells_of_it(valkey: Server, short_folder: Path) -> None:
    service = Served(valkey, short_folder, drain_s="2")
    service.cover()
    with service.running() as running, running.client() as client, ExitStack() as stack:
        answer = stack.enter_context(client.stream("GET", LONG, timeout=PATIENT_S))
        lines = answer.iter_lines()
        assert next(lines) == "event: state"
        running.process.send_signal(signal.SIGTERM)
        told = [json.loads(line[6:]) for line in lines if line.startswith("data: ")]
        states = [each for each in told if "conditions" in each]
        assert not states[-1]["ready"]
        assert not states[-1]["conditions"]["draining"]["ok"]
        running.process.wait(PATIENT_S)
        assert running.process.returncode == 0
        assert "cut off" not in running.log


def test_a_newcomer_beyond_the_bound_gets_no_stream(valkey: Server, short_folder: Path) -> None:
    service = Served(valkey, short_folder)
    service.cover()

    def few_files() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))

    with service.running(preexec_fn=few_files) as running, ExitStack() as stack:
        callers = [stack.enter_context(running.connect()) for _ in range(100)]
        for caller in callers[:90]:
            assert caller.ask(caller.check())[0] == 200
        with running.connect() as late:
            status, headers, _ = late.ask(late.request("GET", LONG))
            assert (status, headers["connection"]) == (429, "close")
        eventually(running.ready)


def test_a_check_is_answered_while_streams_are_open(valkey: Server, short_folder: Path) -> None:
    service = Served(valkey, short_folder)
    service.cover()
    with service.running() as running, ExitStack() as stack:
        for _ in range(live.STREAMS_A_KEY):
            client = stack.enter_context(running.client())
            answer = stack.enter_context(client.stream("GET", LONG))
            assert answer.status_code == 200
        with running.client() as client:
            assert client.get(LONG).status_code == 429
            check = {"document": LISTED, "journey": {"mode": "air"}}
            assert client.post("/v1/check", json=check).json()["decision"] == "allow"
