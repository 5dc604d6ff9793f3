"""Several processes on one socket: kept alive, replaced one by one, and ended together.

uvicorn's own supervisor kills a process that takes 5 s to import on a slow machine, again and
again. Here a process is given the time it needs, and nobody retires before a new one is ready.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, cast

import structlog
from uvicorn.config import STARTUP_FAILURE

from service.server.link import ASKED, READY, RETIRE, STATE, STATED, unpack
from service.server.serving import GRACE_S
from service.server.sums import Sums

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, MutableSequence

    from service.metrics.families import Family

READY_S = 120.0
"""A new process that is not ready after this does not replace an old one."""
AGAIN_S = 1.0
"""A process that ended by itself is started again after this."""
LONGEST_S = 60.0
"""One that ends before it is ready is so later and later, but not later than after this."""

log = structlog.get_logger("clearway.workers")
_spawn = multiprocessing.get_context("spawn")


def shared(count: int) -> MutableSequence[float]:
    """So many numbers, 0 at first, that are the same in all processes that are given them."""
    return cast("MutableSequence[float]", _spawn.RawArray("d", count))


class Worker:
    """One process; `news` is set when it is ready or has ended, `told` is what it has counted."""

    def __init__(
        self, target: Callable[..., None], listening: socket.socket, sums: Sums, *, others: bool
    ) -> None:
        """Start it; with `others` it accepts only once it is ready."""
        self.link, theirs = _spawn.Pipe()
        self.process = _spawn.Process(target=target, args=(listening, theirs, others))
        self.process.start()
        theirs.close()
        self.ready, self.alive = False, True
        self.told: list[Family] = []
        self._saying: asyncio.Future[None] | None = None
        self._sums = sums
        sums.joined(self)
        self.news = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_reader(self.link.fileno(), self._hear)
        loop.add_reader(self.process.sentinel, self._ended)

    def retire(self) -> None:
        """Let it finish what it has and end."""
        self.send(RETIRE)

    def send(self, message: bytes) -> None:
        """Tell it something, if it lives."""
        with suppress(OSError):
            self.link.send_bytes(message)

    async def states(self, within_s: float) -> bool:
        """Whether it says in time what it has counted: then that is `told`."""
        if self._saying is None or self._saying.done():
            self._saying = asyncio.get_running_loop().create_future()
            self.send(STATE)
        await asyncio.wait({self._saying}, timeout=within_s)
        return self._saying.done()

    def end(self, sig: int) -> None:
        """Send it a signal."""
        if self.alive and self.process.pid is not None:
            os.kill(self.process.pid, sig)

    async def gone(self, timeout_s: float) -> None:
        """Return when it has ended; it is killed when its time is over."""
        try:
            async with asyncio.timeout(timeout_s):
                while self.alive:
                    self.news.clear()
                    await self.news.wait()
        except TimeoutError:
            log.error("worker killed: it did not end", pid=self.process.pid)  # noqa: TRY400 -- there is no trace to show
            self.process.kill()
            self.process.join()

    def _hear(self) -> None:
        try:
            self._take(self.link.recv_bytes())
        except (EOFError, OSError):
            asyncio.get_running_loop().remove_reader(self.link.fileno())
        self.news.set()

    def _take(self, message: bytes) -> None:
        """Note that it is ready, or what it has counted; it may want to know that of all."""
        kind = message[:1]
        if message == READY:
            self.ready = True
        elif kind in {STATED, ASKED}:
            self.told = unpack(message[1:])
        if kind == ASKED:
            self._sums.asked(self)
        elif kind == STATED and self._saying is not None and not self._saying.done():
            self._saying.set_result(None)

    def _ended(self) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(self.process.sentinel)
        loop.remove_reader(self.link.fileno())
        self.process.join()  # its pipes have closed, so it is all but gone
        with suppress(EOFError, OSError):
            while self.link.poll():  # what it said last
                self._take(self.link.recv_bytes())
        self._sums.left(self)
        self.alive = False
        self.news.set()


class Workers:
    """Keeps `count` processes of `target` on one listening socket."""

    def __init__(
        self, target: Callable[..., None], listening: socket.socket, count: int, drain_s: float
    ) -> None:
        """Nothing is started before `run`."""
        self._target = target
        self._listening = listening
        self._count = count
        self._end_s = drain_s + GRACE_S + 10
        self._workers: list[Worker] = []
        self._coming: Worker | None = None  # that is to take another's place
        self._sums = Sums()
        self._ending = asyncio.Event()
        self._rolls = 0
        self._rolled: asyncio.Task[None] | None = None
        self._failed = False
        self._served = False

    async def run(self) -> bool:
        """Whether they could start; returns when all have ended."""
        loop = asyncio.get_running_loop()
        for sig in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(sig, self._end_all)
        loop.add_signal_handler(signal.SIGHUP, self._roll)
        self._workers = [self._start(others=False) for _ in range(self._count)]
        async with asyncio.TaskGroup() as tasks:
            for index in range(self._count):
                tasks.create_task(self._keep(index))
        if self._rolled is not None:
            await self._rolled
        return not self._failed

    def _start(self, *, others: bool) -> Worker:
        return Worker(self._target, self._listening, self._sums, others=others)

    def _end_all(self) -> None:
        self._ending.set()
        self._listening.close()  # who still comes is refused once the workers have closed theirs
        for worker in self._workers:
            worker.end(signal.SIGTERM)
        if self._coming is not None:
            self._coming.news.set()

    def _roll(self) -> None:
        """Replace all, one after another; once more where that is under way."""
        self._rolls += 1
        if self._rolls == 1:
            self._rolled = asyncio.get_running_loop().create_task(self._replace_all())

    async def _keep(self, index: int) -> None:
        """Start the process of this place again when it ends by itself."""
        pause_s = AGAIN_S
        while True:
            worker = self._workers[index]
            worker.news.clear()
            self._served = self._served or worker.ready
            if worker.alive:
                await worker.news.wait()
                continue
            if self._ending.is_set():
                return
            if worker is not self._workers[index]:  # retired
                continue
            if self._cannot_start(worker):
                self._failed = True
                self._end_all()
                return
            pause_s = AGAIN_S if worker.ready else min(2 * pause_s, LONGEST_S)
            await self._pause(worker, pause_s)
            if not self._ending.is_set():
                others = any(each.ready and each.alive for each in self._workers)
                self._workers[index] = self._start(others=others)

    def _cannot_start(self, worker: Worker) -> bool:
        """Whether it says that it cannot, and none ever could: those who serve serve on."""
        failed = worker.process.exitcode == STARTUP_FAILURE and not worker.ready
        return failed and not self._served

    async def _pause(self, worker: Worker, pause_s: float) -> None:
        status = worker.process.exitcode
        log.error("worker died", pid=worker.process.pid, status=status, again_s=pause_s)
        with suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await self._ending.wait()

    async def _replace_all(self) -> None:
        while self._rolls:
            self._rolls = min(self._rolls, 2)  # whoever asked during the last one shares the next
            for index in range(self._count):
                if self._ending.is_set() or not await self._replace(index):
                    break
            self._rolls -= 1

    async def _replace(self, index: int) -> bool:
        """Whether a new process has taken an old one's place."""
        old, new = self._workers[index], self._start(others=True)
        self._coming = new
        with suppress(TimeoutError):
            async with asyncio.timeout(READY_S):
                while new.alive and not new.ready and not self._ending.is_set():
                    new.news.clear()
                    await new.news.wait()
        if not new.ready or self._ending.is_set():
            log.error("worker not replaced: the new one was not ready", pid=old.process.pid)
            new.end(signal.SIGTERM)
            await new.gone(self._end_s)
            return False
        self._workers[index] = new
        old.retire()
        await old.gone(self._end_s)
        return True
