"""What is known of people, looked up in few round trips; a circuit breaker for when Redis is gone.

What asks within one turn of the event loop goes out together, and so does what asks while enough
is under way already. The time that a look-up may take does not include this process' own.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from roster.errors import ClearwayError, Unavailable
from roster.redis.calls import SLOTS
from roster.redis.exchange import sliced_timeout
from service.metrics.counters import BOUNDS_S, Histogram

if TYPE_CHECKING:
    from collections.abc import Mapping

    from roster.documents.identity import Token
    from roster.records.entry import Entry
    from roster.records.position import Position
    from roster.records.replies import Found
    from roster.redis.nodes import Server
    from roster.storage.dictionary import Dictionary
    from roster.storage.store import Store
    from service.following.screener import Screener

SILENCE_TO_OPEN_S = 0.5
"""A disk that stalls, or a busy moment, is over by then; until then each check waits its time."""
PROBE_S = 0.05
"""While the circuit is open, so often at most it is tried whether there is an answer again."""
LARGEST = 128
"""Look-ups in one pipeline."""
SLICE = 8
"""Answers that are given in one turn of the loop: each has a check decided."""
PIPELINES = 2
"""Under way to one server at once."""
DOCUMENTS_MAX = 16
"""Of one person."""
LATE = 5
"""After this part of its time a pipeline is late."""

LookupRequest = tuple[bytes, "Mapping[int, Position]"]
LookUp = Callable[[Sequence[LookupRequest]], Awaitable["list[Found]"]]
_LookupBatch = list[tuple[LookupRequest, "asyncio.Future[Found]"]]
_Queue = deque[tuple[LookupRequest, "asyncio.Future[Found]"]]


class CircuitBreaker:
    """Open after a time of nothing but failures, until something succeeds.

    `opened` counts how often it did.
    """

    def __init__(self) -> None:
        """Closed."""
        self.open = False
        self.opened = 0
        self._heard_at = -math.inf
        self._failing_since = math.inf

    def succeeded(self, now: float) -> None:
        """Close it."""
        self.open = False
        self._heard_at = now
        self._failing_since = math.inf

    def failed(self, asked_at: float, now: float) -> None:
        """Note a failure; it opens where there has been no success for a while.

        What was asked before the last success says nothing: its connection may have been cut.
        """
        if asked_at >= self._heard_at:
            self._failing_since = min(self._failing_since, now)
            was, self.open = self.open, now - self._failing_since >= SILENCE_TO_OPEN_S
            self.opened += self.open and not was


class Lane:
    """The way to one server: who waits for it, and a few pipelines under way.

    While these are, whoever asks joins the next one: load makes pipelines longer, not more. One
    that is late leaves its place to another, so that a silent server costs nobody two time-outs.
    """

    def __init__(self, ask: LookUp, timeout_s: float, durations: Histogram | None = None) -> None:
        """`ask` gives what the server has on several tokens; `durations` counts how long."""
        self._ask = ask
        self._timeout_s = timeout_s
        self._waiting: _Queue = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._places = PIPELINES
        self._planned = False
        self.circuit = CircuitBreaker()
        self.failures = 0
        self._durations = durations or Histogram(BOUNDS_S)
        self._probing: asyncio.Task[None] | None = None

    def ask(self, asked: LookupRequest) -> asyncio.Future[Found]:
        """The record; raises Unavailable where the server has long been silent."""
        self._newest = asked
        if self.circuit.open:
            raise Unavailable("Redis has not been answering")
        future: asyncio.Future[Found] = asyncio.get_running_loop().create_future()
        self._waiting.append((asked, future))
        self._plan()
        return future

    @property
    def waiting(self) -> int:
        """How many look-ups are not sent yet."""
        return len(self._waiting)

    def close(self) -> None:
        """Ask no longer whether the server answers again."""
        if self._probing is not None:
            self._probing.cancel()

    def _plan(self) -> None:
        """Send what waits with the next turn, together with what else asks in this one."""
        if self._waiting and self._places and not self._planned:
            self._planned = True
            asyncio.get_running_loop().call_soon(self._send)

    def _send(self) -> None:
        self._planned = False
        while self._waiting and self._places:
            batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), LARGEST))]
            self._places -= 1
            task = asyncio.create_task(self._run(batch))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _run(self, batch: _LookupBatch) -> None:
        asked_at = time.monotonic()
        leave = self._leaving()
        late = asyncio.get_running_loop().call_later(self._timeout_s / LATE, leave)
        try:
            async with sliced_timeout(self._timeout_s):
                found = await self._ask([asked for asked, _ in batch])
        except Exception as exc:  # noqa: BLE001 -- else whoever asked would wait for ever
            self._failed(asked_at)
            error = exc if isinstance(exc, ClearwayError) else Unavailable("no usable answer")
            for _, future in batch:
                _settle(future, error)
        else:
            now = time.monotonic()
            self.circuit.succeeded(now)
            self._durations.add(now - asked_at)
            leave()
            for index, ((_, future), one) in enumerate(zip(batch, found, strict=True)):
                _settle(future, one)
                if index % SLICE == SLICE - 1:
                    await asyncio.sleep(0)
        finally:
            late.cancel()
            leave()

    def _failed(self, asked_at: float) -> None:
        self.failures += 1
        self.circuit.failed(asked_at, time.monotonic())
        if self.circuit.open and (self._probing is None or self._probing.done()):
            self._probing = asyncio.create_task(self._probe())

    async def _probe(self) -> None:
        """Ask what was asked last until there is an answer, so that no check waits for that.

        One question alone may fail for reasons of its own, or have moved to another server.
        """
        while self.circuit.open:
            next_at = time.monotonic() + PROBE_S
            with suppress(Exception):  # whatever it is, there is no answer yet
                async with sliced_timeout(self._timeout_s):
                    await self._ask([self._newest])
                self.circuit.succeeded(time.monotonic())
                return
            await asyncio.sleep(max(0.0, next_at - time.monotonic()))

    def _leaving(self) -> Callable[[], None]:
        """What lets one more pipeline go, once."""
        left = False

        def leave() -> None:
            nonlocal left
            if not left:
                left = True
                self._places += 1
                self._plan()

        return leave


class PersonRecords(NamedTuple):
    """A person's entries, tombstones too, and the look-ups that they come from.

    `complete` is False where more than `DOCUMENTS_MAX` documents are bound. `listed_under` is the
    token, of those asked for, under which there is anything.
    """

    entries: list[Entry]
    looked: list[Found]
    complete: bool
    listed_under: Token | None = None

    @property
    def now_ms(self) -> int:
        """Redis' clock at the last look-up."""
        return max(found.now_ms for found in self.looked)

    @property
    def positions(self) -> list[Position]:
        """The state of the roster that this is read from."""
        return [found.position for found in self.looked]


class Lookups:
    """Asks the store for records, each server on a lane of its own."""

    def __init__(
        self, store: Store, screener: Screener, dictionary: Dictionary, timeout_ms: int
    ) -> None:
        """A look-up fails after `timeout_ms`, whatever the connection does."""
        self._store = store
        self._screener = screener
        self._dictionary = dictionary
        self.timeout_s = timeout_ms / 1000
        self._lanes: dict[Server, Lane] = {}
        self.durations = Histogram(BOUNDS_S)

    @property
    def waiting(self) -> int:
        """How many look-ups are not sent yet."""
        return sum(lane.waiting for lane in self._lanes.values())

    @property
    def failures(self) -> int:
        """How many pipelines of look-ups have failed so far."""
        return sum(lane.failures for lane in self._lanes.values())

    @property
    def circuits_open(self) -> int:
        """For how many servers no check waits now, as they have been silent for long."""
        return sum(lane.circuit.open for lane in self._lanes.values())

    @property
    def circuits_opened(self) -> int:
        """How often that began so far."""
        return sum(lane.circuit.opened for lane in self._lanes.values())

    def ask(self, token: bytes, at_least: Mapping[int, Position]) -> asyncio.Future[Found]:
        """A token's record as of after this call; the future raises Unavailable or WrongKey."""
        server = self._store.nodes.server(SLOTS[token[1]])
        lane = self._lanes.get(server)
        if lane is None:
            lane = self._lanes[server] = Lane(self._look_up, self.timeout_s, self.durations)
        return lane.ask((token, at_least))

    async def entries(self, found: Found) -> list[Entry]:
        """The entries that were found; raises Unavailable and Unreadable."""
        if not found.record:
            return []
        return await self._dictionary.entries(found.record, self.timeout_s)

    def close(self) -> None:
        """Ask no server any longer whether it answers again."""
        for lane in self._lanes.values():
            lane.close()

    async def _look_up(self, asked: Sequence[LookupRequest]) -> list[Found]:
        return await self._store.lookup(asked, self._screener.high_water)


def _settle(future: asyncio.Future[Found], outcome: Found | ClearwayError) -> None:
    if future.done():  # the client has gone
        return
    if isinstance(outcome, ClearwayError):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)
