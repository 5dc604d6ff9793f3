"""A TCP proxy in a process of its own, which cuts a service process off from its Redis.

`python -m tests.faults.proxy HOST PORT` prints the port that it listens on, and then does what
each line of its standard input says: `silence` lets nothing through, `refuse` breaks all
connections and takes no new ones, `heal` ends both; `forget` lets nothing through on the
connections that there are, for ever, as a firewall that has lost them; `slow` lets a new
connection wait; `narrow` is `heal`, but for `NARROW_BYTES_PER_S`; `part` lets nothing through from
and to replicas and sentinels. It ends with its standard input.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys

CHUNK_BYTES = 1 << 16
SLOW_S = 0.7
NARROW_BYTES_PER_S = 300_000
PEERS = (b"REPLCONF", b"PSYNC", b"sentinel-")
"""What replicas and sentinels say first, and clients never."""


class Link:
    """One connection: what has to be open for it, and whether it is one of `PEERS`."""

    def __init__(self, through: asyncio.Event) -> None:
        self.through = through
        self.peer = False


class Proxy:
    def __init__(self, host: str, port: int) -> None:
        self._to = host, port
        self._through = _open_gate()
        self._together = _open_gate()
        self._refusing = False
        self._delay_s = 0.0
        self._narrow = False
        self._writers: set[asyncio.StreamWriter] = set()

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refusing:
            writer.transport.abort()
            return
        await asyncio.sleep(self._delay_s)
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._to)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, far_writer}
        link = Link(self._through)
        there = asyncio.create_task(self._pump(reader, far_writer, link))
        back = asyncio.create_task(self._pump(far_reader, writer, link))
        with contextlib.suppress(asyncio.CancelledError):  # the proxy ends
            await asyncio.wait({there, back})
        self._writers -= {writer, far_writer}

    def obey(self, word: str) -> None:
        if word in {"silence", "forget"}:
            self._through.clear()
            if word == "forget":
                self._through = _open_gate()
        elif word == "part":
            self._together.clear()
        elif word == "slow":
            self._delay_s = SLOW_S
        elif word == "refuse":
            self._refusing = True
            for writer in self._writers:
                writer.transport.abort()
        else:
            self._narrow = word == "narrow"
            self._refusing = False
            self._through.set()
            self._together.set()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, link: Link
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK_BYTES):
                link.peer = link.peer or any(word in data for word in PEERS)
                await link.through.wait()
                if link.peer:
                    await self._together.wait()
                await asyncio.sleep(len(data) / NARROW_BYTES_PER_S * self._narrow)
                writer.write(data)
                await writer.drain()
        writer.transport.abort()


def _open_gate() -> asyncio.Event:
    gate = asyncio.Event()
    gate.set()
    return gate


def _say(word: object) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


async def main(host: str, port: int) -> None:
    proxy = Proxy(host, port)
    server = await asyncio.start_server(proxy.take, "127.0.0.1", 0)
    _say(server.sockets[0].getsockname()[1])
    loop = asyncio.get_running_loop()
    while word := await loop.run_in_executor(None, sys.stdin.readline):
        proxy.obey(word.strip())
        _say("done")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
