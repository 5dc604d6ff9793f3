"""Requests for checks that lie as they came while a process has more of them than it can answer.

To read one costs nearly as much as to answer it; so of a crowd only as many are read as there are
places, the newest first, as whoever asked long ago has often gone. The oldest are turned away, not
more at once than a small part of the process's time is enough for.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from service.server.protocol import Protocol

CHECKS, MOST_UNREAD_BYTES = b"POST /v1/check", 4 * 1024
"""What waits begins so, and is no longer."""
PATIENCE_S = 0.02
"""Nobody is turned away sooner: there may be room."""
PACE_S, TURNED_AWAY = 0.01, 25
"""So many are turned away in so much time: some 15 % of it."""
READ_AT_ONCE = 16


class UnreadRequests:
    """Those of one process, each of a connection that is not read on meanwhile."""

    def __init__(self, loop: asyncio.AbstractEventLoop, has_room: Callable[[], bool]) -> None:
        """Nobody waits."""
        self._loop = loop
        self._has_room = has_room
        self._waiting: deque[tuple[float, Protocol]] = deque()
        self._reads_soon = self._turns_away = False

    def add(self, protocol: Protocol) -> None:
        """Let a connection wait: its `read_on` is called once."""
        self._waiting.append((self._loop.time(), protocol))
        if not self._turns_away:
            self._turns_away = True
            self._loop.call_later(PACE_S, self._turn_away)

    def look(self) -> None:
        """See whether there is room for some, in the next turn of the loop."""
        if self._waiting and not self._reads_soon:
            self._reads_soon = True
            self._loop.call_soon(self._read_newest)

    def _read_newest(self) -> None:
        self._reads_soon = False
        for _ in range(READ_AT_ONCE):
            if not self._waiting or not self._has_room():
                return
            self._waiting.pop()[1].read_on(turned_away=False)
        self.look()

    def _turn_away(self) -> None:
        long_ago_s = self._loop.time() - PATIENCE_S
        for _ in range(TURNED_AWAY):
            if not self._waiting or self._waiting[0][0] > long_ago_s:
                break
            self._waiting.popleft()[1].read_on(turned_away=True)
        self.look()
        self._turns_away = bool(self._waiting)
        if self._turns_away:
            self._loop.call_later(PACE_S, self._turn_away)
