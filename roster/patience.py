"""A time-out that counts what the other side takes, and not what this process takes itself.

A loop that is kept from its turn for 80 ms finds a timer of 50 ms over, and the answer that came
after 1 ms still in the socket. So the time is counted in slices: one turn of the loop counts as one
slice at most, however long it was, and what lies in the sockets is read in between.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SLICES = 5


class _Clock:
    """Ends a time-out after so many slices."""

    def __init__(self, limit: asyncio.Timeout, slice_s: float) -> None:
        self._limit = limit
        self._slice_s = slice_s
        self._left = SLICES
        self._loop = asyncio.get_running_loop()
        self._plan()

    def stop(self) -> None:
        self._next.cancel()

    def _plan(self) -> None:
        self._next = self._loop.call_later(self._slice_s, self._tick)

    def _tick(self) -> None:
        self._left -= 1
        if self._left:
            self._plan()
        else:
            self._limit.reschedule(self._loop.time())


@asynccontextmanager
async def patience(timeout_s: float | None) -> AsyncIterator[None]:
    """Nothing; raises TimeoutError where what is done within takes longer; None is for ever."""
    if timeout_s is None:
        yield
        return
    async with asyncio.timeout(None) as limit:
        clock = _Clock(limit, timeout_s / SLICES)
        try:
            yield
        finally:
            clock.stop()
