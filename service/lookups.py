"""Look-ups of concurrent checks in one round trip, and a circuit for when Redis is gone.

Everything that asks within one turn of the event loop goes out together.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from typing import TYPE_CHECKING

from roster.calls import SLOTS
from roster.errors import ClearwayError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from roster.nodes import Server
    from roster.position import Position
    from roster.replies import Found
    from roster.store import Store
    from service.screener import Screener

SILENCE_TO_OPEN_S = 0.15
"""Failures that come together are one busy moment; a silence is not."""
PROBE_S = 0.2
LARGEST_PIPELINE = 512

Asked = tuple[bytes, "Mapping[int, Position]"]
_Batch = list[tuple[Asked, "asyncio.Future[Found]"]]


class Circuit:
    """Open after a time of nothing but failures; then one call in `PROBE_S` s tries again."""

    def __init__(self) -> None:
        """Closed."""
        self._failing_since: float | None = None
        self._open = False
        self._probe_at = 0.0

    def check(self) -> None:
        """Nothing where a call may be made; raises Unavailable where it would only wait."""
        if not self._open:
            return
        now = time.monotonic()
        if now < self._probe_at:
            raise Unavailable("Redis has not been answering")
        self._probe_at = now + PROBE_S

    def succeeded(self) -> None:
        """Close it."""
        self._failing_since = None
        self._open = False

    def failed(self) -> None:
        """Note a failure; it opens where there has been no success for a while."""
        now = time.monotonic()
        self._failing_since = self._failing_since or now
        self._open = now - self._failing_since >= SILENCE_TO_OPEN_S
        self._probe_at = now + PROBE_S


class Lookups:
    """Asks the store for records; all that is asked in one loop turn shares a pipeline."""

    def __init__(self, store: Store, screener: Screener, timeout_ms: int) -> None:
        """A look-up fails after `timeout_ms`, whatever the connection does."""
        self._store = store
        self._screener = screener
        self.timeout_s = timeout_ms / 1000
        self._waiting: dict[Server, _Batch] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._circuits: defaultdict[Server, Circuit] = defaultdict(Circuit)

    def ask(self, token: bytes, at_least: Mapping[int, Position]) -> asyncio.Future[Found]:
        """A token's record as of after this call; the future raises Unavailable or WrongKey."""
        server = self._store.nodes.server(SLOTS[token[1]])
        self._circuits[server].check()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Found] = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._send)
        self._waiting.setdefault(server, []).append(((token, at_least), future))
        return future

    def _send(self) -> None:
        """Ask each server by itself: another's silence is not waited for."""
        waiting, self._waiting = self._waiting, {}
        for server, asked in waiting.items():
            for first in range(0, len(asked), LARGEST_PIPELINE):
                batch = asked[first : first + LARGEST_PIPELINE]
                task = asyncio.create_task(self._run(batch, self._circuits[server]))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _run(self, batch: _Batch, circuit: Circuit) -> None:
        try:
            async with asyncio.timeout(self.timeout_s):
                found = await self._store.lookup(
                    [asked for asked, _ in batch], self._screener.high_water
                )
        except Exception as exc:  # noqa: BLE001 -- else whoever asked would wait for ever
            circuit.failed()
            error = exc if isinstance(exc, ClearwayError) else Unavailable("no usable answer")
            for _, future in batch:
                _settle(future, error)
            return
        circuit.succeeded()
        for (_, future), one in zip(batch, found, strict=True):
            _settle(future, one)


def _settle(future: asyncio.Future[Found], outcome: Found | ClearwayError) -> None:
    if future.done():  # the client has gone
        return
    if isinstance(outcome, ClearwayError):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)
