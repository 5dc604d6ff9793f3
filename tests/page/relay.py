"""What lies between a browser and the service: passes on, breaks off, or holds streams back."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.page.sites import Site

STREAM = b"GET /v1/live"


class Relay:
    """A relay on a port of its own; whether it holds back or refuses streams, a test says."""

    def __init__(self, url: str) -> None:
        """To the service at this address."""
        self._port = urlsplit(url).port
        self._streams: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.holds = self.refuses = False
        self.url = ""

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Relay]:
        """It listens meanwhile."""
        server = await asyncio.start_server(self._take, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        try:
            yield self
        finally:
            server.close()
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """Break off the streams that are open."""
        for writer in self._streams:
            writer.transport.abort()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        with suppress(OSError, asyncio.CancelledError):
            await self._pass(reader, writer)
        writer.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner, outer = await asyncio.open_connection("127.0.0.1", self._port)
        back = asyncio.create_task(self._answer(inner, writer))
        try:
            while data := await reader.read(65_536):
                if data.startswith(STREAM):
                    if self.refuses:
                        return
                    self._streams.add(writer)
                outer.write(data)
                await outer.drain()
        finally:
            back.cancel()
            await asyncio.gather(back, return_exceptions=True)
            self._streams.discard(writer)
            outer.close()

    async def _answer(self, inner: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held = False
        while data := await inner.read(65_536):
            held = held or (self.holds and writer in self._streams)
            if not held:  # what has lost its head stays lost
                writer.write(data)
                await writer.drain()
        writer.close()


@asynccontextmanager
async def through_a_relay(site: Site) -> AsyncIterator[Relay]:
    """The site is looked at through one from now on."""
    async with Relay(site.url).open() as relay:
        site.url = relay.url
        yield relay
