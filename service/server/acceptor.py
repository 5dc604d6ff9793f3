"""Takes callers in: no more than the process has files for, and says so when it is full.

asyncio's own server accepts whoever comes until the process has no file left for Redis. Beyond
the bound newcomers get one answer each, so that probes and removals still come through; beyond
that they wait in the kernel's backlog, and of those who would get one answer whoever does not ask
is turned out. Nobody else who was taken in is turned out for a newcomer.
"""

from __future__ import annotations

import asyncio
import resource
import socket
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog

from service.metrics.counters import Connections
from service.server.sockets import unaccepted

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from service.server.protocol import Protocol

BACKLOG = 2_048
AT_ONCE = 16
"""Callers taken in in one turn, so that workers of one socket share them."""
PAUSE_S = 0.05
SURPLUS = 32
TELL_EVERY_S = 10.0
TLS_HANDSHAKE_S, TLS_SURPLUS_S = 10.0, 1.0

log = structlog.get_logger("clearway.acceptor")


def bound() -> int:
    """How many callers a process takes: half of its files; others are for Redis and the surplus."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(8, files // 2 - SURPLUS) if files != resource.RLIM_INFINITY else 1 << 20


class Acceptor:
    """The listening socket of one process; `held` counts those who were taken in."""

    def __init__(
        self,
        listening: socket.socket,
        make: Callable[[], Protocol],
        tls: ssl.SSLContext | None,
    ) -> None:
        """Nobody is accepted before `open`."""
        self._listening = listening
        self._listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._make = make
        self._tls = tls
        self._bound = bound()
        self.held = 0
        self._loop = asyncio.get_running_loop()
        self._arriving: set[asyncio.Task[None]] = set()
        self._surplus: dict[Protocol, float] = {}
        self._paused: asyncio.TimerHandle | None = None
        self._told_at = float("-inf")

    @property
    def connections(self) -> Connections:
        """How many it has taken in, may, and has left waiting."""
        return Connections(self.held, self._bound, unaccepted(self._listening))

    def open(self) -> None:
        """Accept from now on."""
        self._listening.listen(BACKLOG)
        self._listening.setblocking(False)  # noqa: FBT003 -- its only form
        self._loop.add_reader(self._listening.fileno(), self._accept)

    async def close(self) -> None:
        """Accept who is in the backlog still, and nobody after that."""
        self._loop.remove_reader(self._listening.fileno())
        while self._take():
            pass
        if self._paused is not None:
            self._paused.cancel()
        self._listening.close()
        if self._arriving:
            await asyncio.wait(self._arriving, timeout=1)

    def _accept(self) -> None:
        for _ in range(AT_ONCE):
            if not self._take():
                return

    def _take(self) -> bool:
        """Whether somebody was taken in."""
        surplus = self.held >= self._bound
        if surplus:
            self._tell()
        if self.held >= self._bound + SURPLUS:
            self._turn_out()
            self._pause()
            return False
        try:
            caller, _ = self._listening.accept()
        except BlockingIOError:
            return False
        except OSError as exc:  # no file is left, or the caller has gone
            log.warning("cannot accept", error=type(exc).__name__)
            self._pause()
            return False
        task = self._loop.create_task(self._connect(caller, surplus=surplus))
        self.held += 1
        self._arriving.add(task)
        task.add_done_callback(self._arriving.discard)
        return True

    async def _connect(self, caller: socket.socket, *, surplus: bool) -> None:
        protocol = self._make()
        protocol.surplus, protocol.left = surplus, partial(self._left, protocol)
        options: dict[str, Any] = {"ssl": self._tls}
        if self._tls is not None:
            options["ssl_handshake_timeout"] = TLS_SURPLUS_S if surplus else TLS_HANDSHAKE_S
        try:
            await self._loop.connect_accepted_socket(lambda: protocol, caller, **options)
        except OSError:  # gone again, or no TLS: TimeoutError and SSLError are OSErrors too
            caller.close()
            self._left(protocol)
        else:
            if surplus and not protocol.transport.is_closing():
                self._surplus[protocol] = self._loop.time()

    def _left(self, protocol: Protocol) -> None:
        self.held -= 1
        self._surplus.pop(protocol, None)

    def _turn_out(self) -> None:
        """Make room of those above the bound who do not ask."""
        for protocol, since_s in self._surplus.items():
            if protocol.lingers(since_s):
                protocol.transport.abort()

    def _pause(self) -> None:
        """Leave newcomers in the backlog for a moment."""
        if self._paused is None:
            self._loop.remove_reader(self._listening.fileno())
            self._paused = self._loop.call_later(PAUSE_S, self._resume)

    def _resume(self) -> None:
        self._paused = None
        self._loop.add_reader(self._listening.fileno(), self._accept)

    def _tell(self) -> None:
        now = self._loop.time()
        if now - self._told_at >= TELL_EVERY_S:
            self._told_at = now
            log.warning("connections at their bound", bound=self._bound)
