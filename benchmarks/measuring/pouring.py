"""Pours requests on a service when they are due, whatever becomes of those before.

    python -m benchmarks.measuring.pouring BODIES PORT CONNECTIONS RATE SECONDS

Prints as JSON how often each status was answered. A request that is due while no connection is
free is never sent: its caller has found nobody, and goes. RATE 0 sends as fast as is answered. One
thread with one epoll and plain sockets: some 8 us of CPU a request, so that four times of what a
service can do leave it its core.
"""

from __future__ import annotations

import os
import select
import socket
import sys
import time
from collections import Counter
from pathlib import Path

import msgspec

_SIZE = 1 << 16
_WAIT_S = 0.001
_STATUS = slice(9, 12)


class Pour(msgspec.Struct, frozen=True):
    """What to send: a file of bodies, one a line, at a rate a second; 0 is as fast as it goes."""

    bodies: Path
    port: int
    connections: int
    rate: float
    seconds: float

    def command(self) -> list[str]:
        """A process that does it."""
        own = (self.bodies, self.port, self.connections, self.rate, self.seconds)
        return [sys.executable, "-m", "benchmarks.measuring.pouring", *map(str, own)]


class Poured(msgspec.Struct):
    """How it went; `unsent` found no connection, `lost` had one that ended."""

    seconds: float
    due: int
    unsent: int
    lost: int
    answered: dict[str, int]

    @property
    def good_per_s(self) -> float:
        """Answers that were 200."""
        return self.answered.get("200", 0) / self.seconds


class Pourer:
    """The connections, and what came over them."""

    def __init__(self, pour: Pour, key: str) -> None:
        """All are open."""
        self._pour = pour
        head = f"POST /v1/check HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n"
        self._made = [
            f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
            for body in pour.bodies.read_bytes().splitlines()
        ]
        self._epoll = select.epoll()
        self._sockets: dict[int, socket.socket] = {}
        self._idle: list[int] = []
        self._parts: dict[int, bytes] = {}
        self._statuses: Counter[bytes] = Counter()
        self._at = self._lost = 0
        for _ in range(pour.connections):
            self._open()

    def run(self) -> Poured:
        """Pour, and say how it went; the answers that come later are not waited for."""
        pour, due = self._pour, 0
        begun = now = time.perf_counter()
        while now - begun < pour.seconds:
            before, due = due, int((now - begun) * pour.rate) if pour.rate else due
            self._send(due - before if pour.rate else len(self._idle))
            for file, _ in self._epoll.poll(_WAIT_S):
                self._receive(file)
            now = time.perf_counter()
        answered = {status.decode(): count for status, count in self._statuses.items()}
        due = due or self._at
        return Poured(now - begun, due, due - self._at, self._lost, answered)

    def _send(self, count: int) -> None:
        made, idle = self._made, self._idle
        for _ in range(min(count, len(idle))):
            file = idle.pop()
            self._at += 1
            try:
                self._sockets[file].send(made[self._at % len(made)])
            except OSError:
                self._broke(file)

    def _receive(self, file: int) -> None:
        try:
            data = self._sockets[file].recv(_SIZE)
        except OSError:
            data = b""
        if not data:
            self._broke(file)
            return
        data = self._parts.pop(file, b"") + data
        if not data.endswith(b"}"):  # every answer is a JSON object
            self._parts[file] = data
            return
        self._statuses[data[_STATUS]] += 1
        self._idle.append(file)

    def _broke(self, file: int) -> None:
        self._lost += 1
        self._parts.pop(file, None)
        if file in self._idle:
            self._idle.remove(file)
        self._sockets.pop(file).close()
        self._open()

    def _open(self) -> None:
        opened = socket.create_connection(("127.0.0.1", self._pour.port), timeout=10)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        opened.setblocking(False)  # noqa: FBT003 -- its only form
        self._sockets[opened.fileno()] = opened
        self._epoll.register(opened.fileno(), select.EPOLLIN)
        self._idle.append(opened.fileno())


def main(words: list[str]) -> None:
    """Print how it went."""
    bodies, port, connections, rate, seconds = words
    pour = Pour(Path(bodies), int(port), int(connections), float(rate), float(seconds))
    poured = Pourer(pour, os.environ.get("CLEARWAY_API_KEY", "")).run()
    sys.stdout.write(msgspec.json.encode(poured).decode() + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
