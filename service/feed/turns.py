"""Whose turn it is to be answered from the feed, so that checks never wait behind all of them.

A change may be news to hundreds of open polls. A few are woken at once, the others one by
one, as fast as `ANSWERS_PER_S`; each gets all that has come until its turn.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque

ANSWERS_PER_S = 250.0
AT_ONCE = 8
SLICE_S = 0.002
"""Work on one long page goes on for so long at most before others have a turn."""
_CREDIT_S = (AT_ONCE - 1) / ANSWERS_PER_S
_REST = 3.0
"""For each second of such work so many are left for everything else."""
_LATE_S = 0.005
"""A loop that comes so late has more to do than it can."""

_Waiter = asyncio.Future[None]


class Turns:
    """Wakes those who wait, in their order, a few at a time; all in one event loop."""

    def __init__(self) -> None:
        """Nobody waits."""
        self._waiting: dict[_Waiter, None] = {}
        self._due: deque[_Waiter] = deque()
        self._long: deque[_Waiter] = deque()
        self._free_at = 0.0
        self._planned = self._ended = False

    async def take(self) -> None:
        """Wait until it is the caller's turn."""
        if not self._ended:
            await self._queue(self._due)

    async def news(self) -> None:
        """Wait for news, and then for a turn."""
        waiting: _Waiter = asyncio.get_running_loop().create_future()
        self._waiting[waiting] = None
        try:
            await waiting
        finally:
            self._waiting.pop(waiting, None)

    async def breathe(self, since: float) -> float:
        """Whence to count on: work since then, on the performance counter, has been interrupted.

        To be called between two pieces of work; mostly nothing is done.
        """
        took_s = time.perf_counter() - since
        if took_s < SLICE_S:
            return since
        self.charge(took_s)
        await self._queue(self._long)
        return time.perf_counter()

    def charge(self, took_s: float) -> None:
        """Let whoever is next wait the longer, the longer somebody's work took."""
        self._free_at = max(self._free_at, time.monotonic() - _CREDIT_S) + took_s * _REST

    def wake(self) -> None:
        """Give whoever waits for news a turn soon."""
        self._due += self._waiting
        self._waiting.clear()
        self._plan()

    def end(self) -> None:
        """Give whoever waits a turn now; whoever comes later need not wait."""
        self._ended = True
        for queue in (self._waiting, self._due, self._long):
            for waiting in queue:
                if not waiting.done():
                    waiting.set_result(None)

    async def _queue(self, queue: deque[_Waiter]) -> None:
        waiting: _Waiter = asyncio.get_running_loop().create_future()
        queue.append(waiting)
        self._plan()
        await waiting

    def _plan(self) -> None:
        if self._planned or not (self._due or self._long):
            return
        self._planned = True
        loop = asyncio.get_running_loop()
        now = time.monotonic()
        at = max(now, self._free_at)
        loop.call_later(at - now, self._give, at)

    def _give(self, at: float) -> None:
        """Give the turns that are free now: alternately to long pages and to short ones."""
        self._planned = False
        now = time.monotonic()
        self._free_at = max(self._free_at, now - _CREDIT_S)
        while self._free_at <= now and (self._due or self._long):
            for queue in (self._long, self._due):
                if _give_one(queue):
                    self._free_at += 1 / ANSWERS_PER_S
        if now - at > _LATE_S:
            self._free_at = max(self._free_at, now) + now - at
        self._plan()


def _give_one(queue: deque[_Waiter]) -> bool:
    """Whether somebody in the queue was still there to take a turn."""
    while queue:
        waiting = queue.popleft()
        if not waiting.done():
            waiting.set_result(None)
            return True
    return False
