"""A server's life: it accepts once it is ready, drains before it ends, and cuts nobody off."""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import TYPE_CHECKING, Any

import structlog
import uvicorn
from uvicorn.config import STARTUP_FAILURE

from service.logs.repeats import RepeatCounter
from service.metrics.counters import summed
from service.routes.ops import conditions
from service.routes.process_metrics import process_families
from service.server.acceptor import Acceptor
from service.server.admission import Gate, ServerContext
from service.server.link import Link
from service.server.protocol import Protocol
from service.server.sockets import address_of
from service.server.transitions import Transitions
from service.upkeep import Chore, repeat

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence
    from multiprocessing.connection import Connection
    from types import FrameType

    from litestar import Litestar

    from roster.settings import Settings
    from service.upkeep import Upkeep

SWEEP_S = 0.5
LOOK_S = 0.25
AT_ONCE = 256
"""Connections that are swept in one turn of the loop."""
READY_POLL_S = 0.01
LOADING_S = 30.0
"""How long a process that reads its filters lets callers wait in the backlog."""
SILENT_S = 1.0
"""How long where Redis does not answer: then /readyz says it better than silence."""
GRACE_S = 35.0
"""How long open requests may take at the end; a change may wait 30 s for all processes."""
IDLE_S = 0.3
"""How long idle connections are kept after the socket has closed: a request may be under way."""
END_POLL_S = 0.02

log = structlog.get_logger("clearway.serving")


class Serving(uvicorn.Server):
    """One process's server; with `link` one of several on the same socket.

    `link` leads to their supervisor. With `others` these answer meanwhile: then it accepts only
    when it is ready, however long that takes. `repeats` counts failures that its log says once.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        app: Litestar,
        settings: Settings,
        link: Connection | None = None,
        *,
        others: bool = False,
    ) -> None:
        """The application is the config's own."""
        super().__init__(config)
        self._app = app
        self._settings = settings
        self._link = None if link is None else Link(link)
        self._others = others
        self._retired = False
        self._hurried = False
        self.repeats = RepeatCounter()

    @property
    def upkeep(self) -> Upkeep:
        """The application's; it is there once the lifespan has begun."""
        upkeep: Upkeep = self._app.state.upkeep
        return upkeep

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Open the roster, wait until checks can be decided, and accept."""
        loop = asyncio.get_running_loop()
        if self._link is not None:
            self._link.open(self._end)
        await self.lifespan.startup()
        if self.lifespan.should_exit:
            sys.exit(STARTUP_FAILURE)
        gate = Gate(loop, self.upkeep.service, self.server_state.tasks)
        self.context = ServerContext(gate, self.upkeep.service, self._settings.keep_alive_s)
        self.servers = []
        self._acceptors = [
            Acceptor(each, self._protocol, self.config.ssl) for each in sockets or ()
        ]
        self._count()
        self._sweeping = loop.create_task(self._sweep())
        await self._until_ready()
        self._transitions = Transitions(self._addresses(sockets or ()))
        self._looking = loop.create_task(repeat(Chore("state", LOOK_S, self._look)))
        if not self.should_exit:
            for acceptor in self._acceptors:
                acceptor.open()
        self.started = True
        if self._link is not None:
            self._link.ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002 -- the acceptors have them
        """Drain, close the socket, finish what is open, and let the roster go."""
        self.context.closing = True
        self._shut_all()
        if not self._retired:
            self.upkeep.draining = True
            await self._drain()
        for acceptor in self._acceptors:
            await acceptor.close()
        self.upkeep.service.feed.end()
        self.upkeep.live.end()
        self._shut_all()
        await self._finish()
        self._sweeping.cancel()
        self._looking.cancel()
        if not self.force_exit:
            await self.lifespan.shutdown()
        if self._link is not None:
            self._link.state()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Ctrl-C does not drain: nobody's traffic is led elsewhere. Nor does a second signal."""
        if self.should_exit:
            self._hurried = True
        self._hurried = self._hurried or sig == signal.SIGINT
        super().handle_exit(sig, frame)

    def _end(self, retired: bool) -> None:  # noqa: FBT001 -- as the link tells it
        """Retire where the supervisor says so; end where it has died."""
        self._retired = retired
        self.should_exit = True

    def _count(self) -> None:
        """Let metrics tell of this server's connections, and of the workers beside it."""
        counters, link = self.upkeep.service.counters, self._link
        counters.connections = lambda: summed(each.connections for each in self._acceptors)
        if link is not None:
            link.own = lambda: list(process_families(self.upkeep))
            self.upkeep.together = link.together

    def _addresses(self, sockets: Sequence[socket.socket]) -> list[str]:
        """Where it listens, for the log."""
        scheme = "https" if self.config.ssl else "http"
        return [address_of(each, scheme) for each in sockets]

    def _protocol(self) -> Protocol:
        protocol = Protocol(self.config, self.server_state, self.lifespan.state)
        protocol.context = self.context
        return protocol

    def _callers(self) -> list[Any]:
        return list(self.server_state.connections)

    async def _sweep(self) -> None:
        loop, counters = asyncio.get_running_loop(), self.upkeep.service.counters
        while True:
            due_s = loop.time() + SWEEP_S
            await asyncio.sleep(SWEEP_S)
            counters.loop_lag.add(max(0.0, loop.time() - due_s))
            for number, connection in enumerate(self._callers()):
                if connection in self.server_state.connections:
                    connection.sweep()
                if number % AT_ONCE == AT_ONCE - 1:  # ten thousand would keep everybody waiting
                    await asyncio.sleep(0)

    async def _look(self) -> None:
        """Say in the log what has changed, and what is over."""
        self.repeats.look()
        await self._transitions.look(self.upkeep)

    async def _until_ready(self) -> None:
        """Return when checks can be decided, or the wait helps nobody any more."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        while not self.should_exit and not all(c.ok for c in conditions(self.upkeep).values()):
            if not self._others and self._vain(loop.time() - started):
                return
            await asyncio.sleep(READY_POLL_S)

    def _vain(self, waited_s: float) -> bool:
        screener = self.upkeep.service.screener
        if screener.wrong_key or (screener.loaded and screener.lacking):
            return True
        return waited_s > (LOADING_S if self.upkeep.facts_known else SILENT_S)

    async def _drain(self) -> None:
        """Serve on for a while: /readyz tells whoever leads traffic here to stop."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self._settings.drain_s
        if self._settings.drain_s:
            log.info("draining", seconds=self._settings.drain_s)
        while loop.time() < until and not self._hurried:  # noqa: ASYNC110 -- a signal handler sets it
            await asyncio.sleep(END_POLL_S)

    def _shut_all(self) -> None:
        for connection in self._callers():
            connection.shutdown()

    async def _finish(self) -> None:
        """Wait for open requests, and a moment for those that are under way."""
        loop = asyncio.get_running_loop()
        closed_at = loop.time()
        idle_s = max(IDLE_S, self._settings.drain_s) if self._retired else IDLE_S
        while self.server_state.connections or self.server_state.tasks:
            waited_s = loop.time() - closed_at
            if waited_s > GRACE_S or self.force_exit:
                log.warning("open requests are cut off", count=len(self.server_state.tasks))
                break
            if waited_s > idle_s:
                self._close_idle()
            await asyncio.sleep(END_POLL_S)
        await self._cut()

    def _close_idle(self) -> None:
        for connection in self._callers():
            if connection.idle:
                connection.close_if_quiet()

    async def _cut(self) -> None:
        for task in list(self.server_state.tasks):
            task.cancel()
        for connection in self._callers():
            connection.transport.close()
        if self.server_state.tasks:
            await asyncio.wait(self.server_state.tasks, timeout=1)
