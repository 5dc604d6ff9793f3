"""A request and its reply, asked again where that is safe and may help: without any I/O.

Whoever drives these steps sends each request after its pause, and gives back the reply.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

import msgspec

from clearway_client.answers import Problem
from clearway_client.errors import FeedTrimmed, NoAnswer, Refused

T = TypeVar("T")

OK = 200
NO_REPLY = 0
GONE = 410
TOO_LARGE = 413
TOO_MANY = 429
AGAIN = frozenset({NO_REPLY, 408, TOO_MANY, 500, 502, 503, 504})
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 2.0
JITTER = 0.25
"""Of a pause that the service asks for: not all may come back at once."""
NOT_CLEARWAY = Problem(title="what answers there is not Clearway: look at the URL")


@dataclass(frozen=True, slots=True)
class Request:
    """What to send, after so long a pause; it does not show its content."""

    method: str
    path: str
    content: bytes = field(default=b"", repr=False)
    query: Mapping[str, str | int] = field(default_factory=dict)
    timeout_s: float = 1.0
    pause_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back; status 0, and `fault`, where nothing did.

    `sent` is False where the request surely did not reach anybody. `hopeless` faults stay.
    """

    status: int
    content: bytes = field(default=b"", repr=False)
    retry_after: str = ""
    fault: str = ""
    sent: bool = True
    hopeless: bool = False

    @property
    def problem(self) -> Problem:
        """What it says went wrong; of others than Clearway nothing is repeated."""
        try:
            problem = msgspec.json.decode(self.content, type=Problem)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            problem = Problem()
        if not problem.type.startswith("urn:clearway:problem:"):
            problem = NOT_CLEARWAY
        return msgspec.structs.replace(problem, status=self.status)

    @property
    def why(self) -> str:
        """What to tell where this was the last word."""
        return self.fault or f"{self.status}: {self.problem.title}"


Steps = Generator[Request, Reply, T]
Again = Callable[[Request, Reply], Request | None]


def same(request: Request, _: Reply) -> Request | None:
    """Sending it again is harmless."""
    return request


@dataclass(frozen=True, slots=True)
class Asking:
    """How long to ask, and how: the clock and the dice are a test's to choose."""

    try_s: float
    clock: Callable[[], float] = time.monotonic
    dice: Callable[[], float] = random.random

    def ask(self, request: Request, budget_s: float, again: Again = same) -> Steps[Reply]:
        """The reply that has an answer; raises NoAnswer, Refused and FeedTrimmed.

        `again` gives what to send after a reply that may pass; None where that is not safe.
        """
        deadline = self.clock() + budget_s
        attempt = 0
        revisions: tuple[int, ...] = ()
        while True:
            left = deadline - self.clock() - request.pause_s
            timeout_s = min(request.timeout_s, max(left, 0.001))
            reply = yield replace(request, timeout_s=timeout_s)
            if reply.status not in AGAIN:
                return _answered(reply)
            revisions = reply.problem.revisions or revisions
            following = None if reply.hopeless else again(request, reply)
            pause_s = self._pause_s(reply, attempt)
            if following is None or self.clock() + pause_s >= deadline:
                raise NoAnswer(reply.why, revisions)
            request = replace(following, pause_s=pause_s)
            attempt += 1

    def _pause_s(self, reply: Reply, attempt: int) -> float:
        """As long as the service says and a bit, else twice as long each time."""
        stated = _stated_s(reply)
        if stated is None:
            longest = min(FIRST_PAUSE_S * 2.0**attempt, LONGEST_PAUSE_S)
            return longest * (0.5 + self.dice() / 2)
        return stated + max(stated, FIRST_PAUSE_S) * JITTER * self.dice()


def _stated_s(reply: Reply) -> float | None:
    """`retry_after_ms` is finer than the header, which others than Clearway send, too."""
    stated_ms = reply.problem.retry_after_ms
    if stated_ms is not None:
        return stated_ms / 1000
    header = reply.retry_after
    return float(header) if header.isascii() and header.isdecimal() else None


def _answered(reply: Reply) -> Reply:
    if reply.status == OK:
        return reply
    problem = reply.problem
    if reply.status == GONE and problem.oldest is not None:
        raise FeedTrimmed(problem.oldest)
    raise Refused(problem)


def read(reply: Reply, kind: type[T]) -> T:
    """What an answer says; raises Refused where it is none of Clearway's."""
    try:
        return msgspec.json.decode(reply.content, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        pass
    raise Refused(msgspec.structs.replace(NOT_CLEARWAY, status=OK))
