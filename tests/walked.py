"""A service in this process that is asked; prints which modules each request ran through.

Its settings are in the environment. Which calls belong to a request is told by their context, so
that nothing else that the process does meanwhile is taken for a part of it.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Self
from unittest.mock import patch

import msgspec

from roster.settings import read_settings
from service import app
from service.following import follower, share
from service.server import serving
from service.server.protocol import Protocol
from service.server.server import Listen, listening_socket, make_server
from tests.service.apps import make_key
from tests.service.parts import cover
from tests.service.served import CLEAR, LISTED
from tests.source import ROOT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from types import FrameType

    from service.upkeep import Chore

LONG_S = 3_600
NAME = "王小明"
FLIGHT = {"mode": "air"}
ENTRY: dict[str, Any] = {"list": "sx", "entry_id": "(2019)京0105执1234号/1", "document": LISTED}
CONTENT = {"name": NAME, "case": "(2019)京0105执1234号", "court": "北京市朝阳区人民法院"}
REMOVAL: dict[str, Any] = {"op": "remove", "reason": "performed"}
_FOLDERS = tuple(f"{ROOT / name}{os.sep}" for name in ("roster", "service"))
_asked: ContextVar[bool] = ContextVar("asked", default=False)


class Walk:
    """The modules that run, in the order in which they first do, their definitions left out.

    Those of a request `alone`, or of the whole process meanwhile.
    """

    def __init__(self, *, alone: bool) -> None:
        self.ran: dict[str, None] = {}
        self._alone = alone
        self._answered = False

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if event != "call" or not code.co_filename.startswith(_FOLDERS):
            return
        if code.co_name == "<module>" or (self._alone and (self._answered or not _asked.get())):
            return
        self.ran[os.path.relpath(code.co_filename, ROOT)] = None
        self._answered = code.co_name == Protocol.on_response_complete.__name__

    def __enter__(self) -> Self:
        threading.setprofile(self)
        sys.setprofile(self)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)
        threading.setprofile(None)


class Caller:
    """A connection to the server, in the same loop."""

    def __init__(self, port: int, key: str) -> None:
        self._port = port
        self._key = key
        self.walks: dict[str, list[str]] = {}

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()
        await self._writer.wait_closed()

    async def walk(self, title: str, path: str, content: object, *, alone: bool = True) -> Any:  # noqa: ANN401 -- JSON
        """What is answered; which modules that took is noted."""
        if "known" not in title:
            forget()
        with Walk(alone=alone) as walk:
            answer = await self._ask(path, content)
        self.walks[title] = list(walk.ran)
        return answer

    async def check(self, title: str, document: object, **more: object) -> Any:  # noqa: ANN401 -- JSON
        asked = {"document": document, "journey": FLIGHT, **more}
        return (await self.walk(title, "/v1/check", asked))["decision"]

    async def change(
        self,
        title: str,
        *,
        wait: str = "all",
        alone: bool = True,
        **edit: Any,  # noqa: ANN401 -- JSON
    ) -> None:
        asked = {"changes": [ENTRY | edit], "wait": wait}
        answer = await self.walk(title, "/v1/changes", asked, alone=alone)
        assert answer["results"][0]["outcome"] == "applied", answer
        if wait == "all":
            assert answer["processes"]["confirmed"]
            assert not answer["processes"]["missing"]

    async def _ask(self, path: str, content: object) -> Any:  # noqa: ANN401 -- JSON
        body = json.dumps(content).encode()
        lines = (
            f"POST {path} HTTP/1.1",
            "Host: clearway",
            f"Authorization: Bearer {self._key}",
            f"Content-Length: {len(body)}",
        )
        self._writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.split("content-length: ")[1].split("\r\n")[0])
        answer = json.loads(await self._reader.readexactly(length))
        assert head.startswith("http/1.1 200"), answer
        return answer


def forget() -> None:
    """Nothing is known from what was asked before: what is kept of it has a bound."""
    ours = [each for name, each in sys.modules.items() if name.startswith(("roster", "service"))]
    for value in [value for module in ours for value in vars(module).values()]:
        if hasattr(value, "cache_clear") and value.cache_parameters()["maxsize"]:
            value.cache_clear()


@asynccontextmanager
async def served() -> AsyncIterator[Caller]:
    """A caller of a ready service in which nothing is done by the clock."""
    settings = msgspec.structs.replace(read_settings(os.environ), fresh_ms=1_000 * LONG_S)
    key = await make_key(settings)
    with listening_socket(Listen("127.0.0.1", 0)) as listening:
        server = make_server(settings)
        running = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            async with asyncio.timeout(60):
                while not (server.started or running.done()):  # noqa: ASYNC110 -- a task makes it so
                    await asyncio.sleep(0.01)
                service = server.upkeep.service
                await cover(service.changes_store)
                while not service.screener.ready:
                    await service.follower.poll()
            async with Caller(listening.getsockname()[1], key) as caller:
                yield caller
        finally:
            server.should_exit = True
            await running


async def walk(caller: Caller) -> None:
    await caller.change("put", op="put", revision=10, entry=CONTENT)
    await caller.change("put", op="put", revision=10, entry={}, entry_id="e/2")
    assert await caller.check("cleared", CLEAR) == "allow"
    assert await caller.check("cleared, by a journey that is known", CLEAR) == "allow"
    assert await caller.check("denied", LISTED, name=NAME) == "deny"
    items = [{"document": document, "name": NAME} for document in (CLEAR, LISTED)]
    asked = {"items": items, "journey": FLIGHT}
    batch = await caller.walk("batch", "/v1/check/batch", asked)
    assert [each["decision"] for each in batch["results"]] == ["allow", "deny"]
    await caller.change("removal, up to its answer", wait="durable", **REMOVAL, entry_id="e/2")
    await caller.change("removal", alone=False, **REMOVAL)


async def rest(_: Chore) -> None:
    """Do no chore."""


async def main() -> None:
    """Print each walk's modules as JSON."""
    received = Protocol.data_received

    def asked(self: Protocol, data: bytes) -> None:
        token = _asked.set(True)
        try:
            received(self, data)
        finally:
            _asked.reset(token)

    with (
        patch.object(app, "repeat", rest),
        patch.object(share, "POLL_S", LONG_S),
        patch.object(follower, "SERVERS_EVERY_S", LONG_S),
        patch.object(serving, "repeat", rest),
        patch.object(serving, "SWEEP_S", LONG_S),
        patch.object(Protocol, "data_received", asked),
    ):
        async with served() as caller:
            await walk(caller)
    sys.stdout.write(json.dumps(caller.walks))


if __name__ == "__main__":
    asyncio.run(main())
