"""A load balancer for TCP, as small as one can be: new connections go to whoever is ready.

    python -m benchmarks.measuring.balancer PORT BACKEND...

All are ports of this machine. A backend is asked for `/readyz` every `EVERY_S`; one that is not
ready gets no new connection, and keeps those that it has. What cannot be reached is passed over.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from itertools import count

EVERY_S = 0.2
_HOST = "127.0.0.1"
_SIZE = 1 << 16
_PROBE = b"GET /readyz HTTP/1.1\r\nHost: balancer\r\nConnection: close\r\n\r\n"
_READY = b"HTTP/1.1 200 "

Link = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Balancer:
    """Who is ready, and whose turn it is."""

    def __init__(self, backends: list[int]) -> None:
        """Nobody has been asked yet."""
        self._backends = backends
        self._ready: list[int] = []
        self._turns = count()

    async def watch(self) -> None:
        """Never returns: asks everybody, again and again."""
        while True:
            found = await asyncio.gather(*map(is_ready, self._backends))
            self._ready = [port for port, ready in zip(self._backends, found, strict=True) if ready]
            await asyncio.sleep(EVERY_S)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection to its end."""
        link = await self._open()
        if link is None:
            writer.close()
            return
        await asyncio.gather(carry(reader, link[1]), carry(link[0], writer))

    async def _open(self) -> Link | None:
        """To whose turn it is, or the next that can be reached."""
        turn, ready = next(self._turns), self._ready or self._backends
        for at in range(len(ready)):
            with suppress(OSError):
                return await asyncio.open_connection(_HOST, ready[(turn + at) % len(ready)])
        return None


async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on what comes, and its end."""
    with suppress(OSError):
        while data := await reader.read(_SIZE):
            writer.write(data)
            await writer.drain()
    writer.close()


async def is_ready(port: int) -> bool:
    """Whether a backend says so within a second."""
    try:
        async with asyncio.timeout(1):
            reader, writer = await asyncio.open_connection(_HOST, port)
            writer.write(_PROBE)
            said = await reader.read(_SIZE)
            writer.close()
    except (OSError, TimeoutError):
        return False
    return said.startswith(_READY)


async def main(port: int, backends: list[int]) -> None:
    """Never returns: carries whatever comes."""
    balancer = Balancer(backends)
    server = await asyncio.start_server(balancer.serve, _HOST, port, backlog=1_024)
    async with server:
        await balancer.watch()


if __name__ == "__main__":
    own, *others = map(int, sys.argv[1:])
    asyncio.run(main(own, others))
