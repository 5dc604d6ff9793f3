"""Where a reader of the feed stands, and what it asks next: without I/O."""

from __future__ import annotations

from collections import deque

from clearway_client.answers import Event
from clearway_client.core import NOW, Core
from clearway_client.exchange import Steps


class Cursor:
    """Hands events out one by one; `position` is behind the last one that was."""

    def __init__(self, core: Core, after: str | None, wait_s: float, limit: int) -> None:
        """`after` is a position that was saved, `now`, or None: the oldest that is kept."""
        self.position = None if after == NOW else after
        self._core = core
        self._wait_s = wait_s
        self._limit = limit
        self._events: deque[Event] = deque()
        self._end = after

    def next_event(self) -> Steps[Event]:
        """The next event, however long it takes."""
        while not self._events:
            yield from self._ask()
        event = self._events.popleft()
        self.position = event.position
        return event

    def poll(self) -> Steps[list[Event]]:
        """The events that there are, waited for once."""
        if not self._events:
            yield from self._ask()
        events = list(self._events)
        self._events.clear()
        self.position = self._end
        return events

    def _ask(self) -> Steps[None]:
        self.position = None if self._end == NOW else self._end
        page = yield from self._core.page(self._end, self._limit, self._wait_s)
        self._events.extend(page.changes)
        self._end = page.position
