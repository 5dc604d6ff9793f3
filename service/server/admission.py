"""Which requests are begun when: probes and changes at once, others a slice in each turn.

A process that is asked more than it can answer must still say that it lives, take removals and
read what Redis has long answered. So checks wait in a line here, where they cost nothing yet, and
no turn of the loop begins more than a slice of them. Where the line is full a check is refused
before its body is read, and that of a key that has much of the line a little earlier, so that
others still find a place; refusals themselves are paced, since a caller that asks again at once
would leave no time for anything else.
"""

from __future__ import annotations

import random
from collections import Counter, deque
from functools import cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from roster.errors import TooMany
from service.openapi.openapi import ROUTES
from service.routes.checks import BATCH, CHECK
from service.routes.live import STREAM
from service.server.crowding import UnreadRequests
from service.web.auth import authorization
from service.web.bodies import JSON_HEADERS
from service.web.problems import problem_bytes
from service.web.rates import TokenBucket

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Coroutine, Mapping, Sequence

    from service.parts import Service
    from service.server.protocol import Protocol
    from service.web.bodies import WholeResponse

    HeaderLines = Sequence[tuple[bytes, bytes]]

FREE = frozenset({"/healthz", "/readyz", "/v1/changes", "/v1/roster", "/metrics", STREAM})
"""Paths that never wait, and are never refused but for the stream on a surplus connection."""
_OK = 200
PATHS = frozenset({"/", "/schema", "/schema/openapi.json", *(route.path for route in ROUTES)})
"""By which requests are counted."""
IN_FLIGHT_MAX = 512
"""Checks that a process has begun or keeps in line: some 40 ms of its work."""
SHARE = 3
"""A key may have so many times what is free: alone three quarters, and never what others lack."""
CONTENDED = IN_FLIGHT_MAX * SHARE // (SHARE + 1)
"""With fewer in hand no key can have too many."""
SLICE = 16
"""Checks that are begun in one turn of the loop: some 1 ms."""
BYTES_PER_CHECK, HEAVIEST = 4_096, IN_FLIGHT_MAX // 4
"""A batch counts as a check for so much of its body, and never for more than so many."""
REFUSALS_PER_S = 1_000.0
REFUSALS_AT_ONCE = 100.0
HELD_S = 0.25
"""A refusal waits this long at most."""
PACE_S = 0.01
RETRY_MS = (500, 1_500)
"""Between these callers are told to come back, so that they do not all come together."""
HEAD_S = 10.0
BODY_S = 30.0
"""How long a caller may take for the whole head of a request, and for its body.

Also to read something of its answers.
"""
WHY = "this process has more requests than it can answer in time"


def _fields(lines: HeaderLines) -> bytes:
    return b"".join(b"%s: %s\r\n" % line for line in lines)


class ServerContext(msgspec.Struct):
    """What the connections of one process share.

    Once `closing`, every answer ends its connection. Times are in seconds.
    """

    gate: Gate
    service: Service
    keep_alive_s: float
    closing: bool = False
    head_s: float = HEAD_S
    body_s: float = BODY_S
    usual_head_with: HeaderLines | None = None
    usual_head: bytes = b""

    def head(self, own: HeaderLines, response: WholeResponse, *, keep: bool) -> bytes:
        """The head of a response with the server's `own` headers; of the last one if not `keep`.

        That of the usual answer is put together once for as long as `own` is the same list.
        """
        status, headers, body = response
        if keep and status == _OK and headers is JSON_HEADERS:
            if own is not self.usual_head_with:
                fields = _fields([*own, *headers])
                self.usual_head_with, self.usual_head = own, STATUS_LINE[_OK] + fields
            return b"%scontent-length: %d\r\n\r\n" % (self.usual_head, len(body))
        ending = () if keep else ((b"connection", b"close"),)
        lines = (*own, *headers, (b"content-length", b"%d" % len(body)), *ending)
        return STATUS_LINE[status] + _fields(lines) + b"\r\n"


class Queued(NamedTuple):
    """A request in line, how many checks it counts as, and the id of its key."""

    protocol: Protocol
    cycle: Any
    app: Any
    weight: int
    key: str


class Gate:
    """The line of one process; `in_flight` counts checks."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        service: Service,
        tasks: set[asyncio.Task[None]],
    ) -> None:
        """Nobody waits; who is turned away is counted. `tasks` are the server's own."""
        self._tasks = tasks
        self._counters = service.counters
        self._access = service.access
        self._loop = loop
        self._line: deque[Queued] = deque()
        self._held: deque[tuple[float, Protocol, Any]] = deque()
        self._refusals = TokenBucket(REFUSALS_PER_S, REFUSALS_AT_ONCE, loop.time())
        self._begun = 0
        self._of_key: Counter[str] = Counter()
        self.in_flight = 0
        self.unread = UnreadRequests(loop, lambda: self.in_flight < CONTENDED)
        service.counters.in_flight = lambda: self.in_flight
        service.counters.routes = PATHS

    def full_for(self, authorization: bytes | None) -> bool:
        """Whether who shows this finds no place: there is none, or its key has its share."""
        free = IN_FLIGHT_MAX - self.in_flight
        return free <= 0 or self._of_key[self._access.named(authorization)] >= SHARE * free

    def take(self, protocol: Protocol, cycle: Any, app: Any) -> None:  # noqa: ANN401 -- uvicorn's
        """Begin a request that has come whole, or put it in line."""
        weight = 1 if cycle.scope["path"] == CHECK else weight_of(cycle.scope, len(cycle.body))
        if self._line or self._begun >= SLICE:
            key = self._enter(cycle.scope, weight)
            self._line.append(Queued(protocol, cycle, app, weight, key))
        elif not self._answered(protocol, cycle, weight):
            self._begin(
                protocol.answer_in_task(cycle, app), weight, self._enter(cycle.scope, weight)
            )

    def count(self, task: asyncio.Task[None], scope: Mapping[str, Any], size: int) -> None:
        """Count a request that was begun before it had come whole, with a body of this size."""
        weight = weight_of(scope, size)
        task.add_done_callback(partial(self._ended, weight, self._enter(scope, weight)))

    def _answered(self, protocol: Protocol, cycle: Any, weight: int) -> bool:  # noqa: ANN401 -- uvicorn's
        """Whether nothing more is to be done for it; it has its part of this turn in any case."""
        self._begun += weight
        if self._begun >= SLICE:  # one look at the turns for a slice costs less than one for each
            self._loop.call_soon(self._turn)
        return protocol.answer_at_once(cycle)

    def _begin(self, answering: Coroutine[Any, Any, None], weight: int, key: str) -> None:
        task = self._loop.create_task(answering)
        self._tasks.add(task)
        task.add_done_callback(partial(self._ended, weight, key))

    def _turn(self) -> None:
        """A new turn of the loop: what came meanwhile is read, and the next slice begins."""
        self._begun = 0
        while self._line and self._begun < SLICE:
            protocol, cycle, app, weight, key = self._line.popleft()
            if cycle.disconnected or self._answered(protocol, cycle, weight):
                self._leave(weight, key)
            else:
                self._begin(protocol.answer_in_task(cycle, app), weight, key)

    def _enter(self, scope: Mapping[str, Any], weight: int) -> str:
        """The id of the key that asks; those who are not known yet count together."""
        key = self._access.named(authorization(scope["headers"]))
        self.in_flight += weight
        self._of_key[key] += weight
        return key

    def _leave(self, weight: int, key: str) -> None:
        self.in_flight -= weight
        self._of_key[key] -= weight
        if self.in_flight < CONTENDED:
            self.unread.look()

    def _ended(self, weight: int, key: str, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._leave(weight, key)

    def turn_away(self, protocol: Protocol, cycle: Any) -> None:  # noqa: ANN401 -- uvicorn's
        """Refuse a request that has waited unread."""
        self._counters.refused += 1
        self._counters.answered(cycle.scope, 429)
        protocol.answer_now(cycle, refusal())

    def refuse(self, protocol: Protocol, cycle: Any) -> None:  # noqa: ANN401 -- uvicorn's
        """Turn a request away before its body is read."""
        self._counters.refused += 1
        self._counters.answered(cycle.scope, 429)
        now = self._loop.time()
        if not self._held and not self._refusals.take(1, now):
            protocol.answer_now(cycle, refusal())
            return
        if not self._held:
            self._loop.call_later(PACE_S, self._release)
        self._held.append((now + HELD_S, protocol, cycle))

    def _release(self) -> None:
        """Answer those whose refusal is due by the pace, or has waited long enough."""
        now = self._loop.time()
        while self._held and (self._held[0][0] < now or not self._refusals.take(1, now)):
            _, protocol, cycle = self._held.popleft()
            protocol.answer_now(cycle, refusal())
        if self._held:
            self._loop.call_later(PACE_S, self._release)


def refusal() -> WholeResponse:
    """A 429; when to come back is different for each."""
    return _refusal(random.randint(*RETRY_MS))  # noqa: S311 -- jitter


@cache
def _refusal(retry_after_ms: int) -> WholeResponse:
    return problem_bytes(TooMany(retry_after_ms, WHY))


def weight_of(scope: Mapping[str, Any], size: int) -> int:
    """How many checks a request counts as whose body has come, and is of this size."""
    if scope["path"].rstrip("/") != BATCH:
        return 1
    return min(1 + size // BYTES_PER_CHECK, HEAVIEST)
