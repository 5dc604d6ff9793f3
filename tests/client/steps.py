"""Steps driven by hand: a test says what comes back, and on which clock."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from clearway_client.exchange import Reply, Request, Steps

if TYPE_CHECKING:
    from collections.abc import Iterable

T = TypeVar("T")

LOST = Reply(0, fault="the connection broke off")
UNSENT = Reply(0, fault="no connection", sent=False)


def ok(**content: Any) -> Reply:  # noqa: ANN401 -- JSON
    return Reply(200, json.dumps(content).encode())


def problem(status: int, **more: Any) -> Reply:  # noqa: ANN401 -- JSON
    told = {"type": "urn:clearway:problem:made-up", "title": "T", "status": status, **more}
    return Reply(status, json.dumps(told).encode())


@dataclass
class Clock:
    """Time passes by pauses, and by what each try takes."""

    now_s: float = 0.0
    a_try_s: float = 0.01

    def __call__(self) -> float:
        return self.now_s


@dataclass
class Driven:
    """What was sent meanwhile."""

    clock: Clock = field(default_factory=Clock)
    requests: list[Request] = field(default_factory=list)

    def run(self, steps: Steps[T], replies: Iterable[Reply]) -> T:
        left = iter(replies)
        try:
            request = next(steps)
            while True:
                self.requests.append(request)
                self.clock.now_s += request.pause_s + self.clock.a_try_s
                request = steps.send(next(left))
        except StopIteration as end:
            result: T = end.value
            return result

    @property
    def bodies(self) -> list[Any]:
        return [json.loads(request.content) for request in self.requests]
