"""What this process has counted: requests, decisions, durations, changes, how removals lag."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from roster.storage.api_keys import SANDBOX

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from roster.documents.identity import Token
    from roster.rules.verdict import Verdict

BOUNDS_S = (
    *(0.000_25, 0.000_5, 0.001, 0.002, 0.005, 0.01),
    *(0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0),
)
"""Of a check's duration, or a look-up's, in seconds."""
LAG_BOUNDS_S = (
    *(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0, 300.0),
    *(1_800.0, 7_200.0, 21_600.0, 86_400.0, 604_800.0),
)
"""From a doorbell's way to a court's week."""
METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST"})
OTHER = "other"
"""What all other methods and routes are counted as."""
MADE_UP = "sandbox"
"""What all routes are counted as where a test key asks: what they answer says nothing of them."""
_TEST_KEY = f"cw_{SANDBOX}".encode()
UNREAD = {"method": OTHER, "path": OTHER}
"""In the place of the scope of a request whose head could not be read."""
LEGS = ("source", "service", "processes")
LATE_BOUNDS_S = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""Of how late a turn of the event loop comes, in seconds."""


class Histogram:
    """Counts of values up to each bound."""

    def __init__(self, bounds: Sequence[float]) -> None:
        """`bounds` rise; one bucket more holds what is above them."""
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, value: float, count: int = 1) -> None:
        """Count a value, so many times."""
        self.counts[bisect_left(self.bounds, value)] += count
        self.total += value * count


class Connections(NamedTuple):
    """How many callers are connected, may be, and wait to be accepted."""

    held: int = 0
    most: int = 0
    waiting: int = 0


def summed(parts: Iterable[Connections]) -> Connections:
    """Those of several sockets together."""
    return Connections(*map(sum, zip(*parts, strict=True)))


class Counters:
    """Counts since the process began, and what waits to be written to Redis.

    `requests` are those that were answered, by method, route (of `routes`; where a test key
    asks, `MADE_UP`) and status;
    `cleared_at_once` are further single checks, answered with 200 in the turn in which they came.
    `changes` are counted by op and outcome. `durations` are those of requests for checks,
    `removals` how long removals took on each leg of their way, `loop_lag` how late turns of the
    event loop came; `canary` is the person whose checks are nobody's.
    """

    def __init__(self) -> None:
        """All zero."""
        self.decisions: Counter[tuple[str, str]] = Counter()
        self.refers: Counter[str] = Counter()
        self.changes: Counter[tuple[str, str]] = Counter()
        self.requests: Counter[tuple[str, str, int]] = Counter()
        self.routes: frozenset[str] = frozenset()
        self.cleared_at_once = 0
        self.durations = Histogram(BOUNDS_S)
        self.loop_lag = Histogram(LATE_BOUNDS_S)
        self.removals = {leg: Histogram(LAG_BOUNDS_S) for leg in LEGS}
        self.refused = 0
        self.in_flight: Callable[[], int] = int  # none, before there is a line
        self.connections: Callable[[], Connections] = Connections
        self.canary: Token | None = None
        self._unwritten: Counter[tuple[str, str]] = Counter()
        self._lags: Counter[tuple[str, int]] = Counter()

    def answered(self, scope: Mapping[str, Any], status: int) -> None:
        """Count an answer; of a path or a method that there is not, nothing is kept."""
        method = scope["method"] if scope["method"] in METHODS else OTHER
        route = scope["path"] if scope["path"] in self.routes else OTHER
        if _is_by_test_key(scope):
            route = MADE_UP
        self.requests[method, route, status] += 1

    def screened(self, mode: str, token: Token, verdict: Verdict) -> None:
        """Count the decision about a person, and for a refer its reason."""
        if token == self.canary:
            return
        self.decided(mode, verdict.decision)
        if verdict.decision == "refer":
            self.refers[verdict.reasons[0].code] += 1

    def decided(self, mode: str, decision: str, count: int = 1) -> None:
        """Count so many checks with this decision."""
        self.decisions[mode, decision] += count
        self._unwritten[mode, decision] += count

    def removed(self, leg: str, lag_ms: int) -> None:
        """Count one removal that took so long to be effective on this leg of its way."""
        self._lags[leg, lag_ms] += 1

    def take_unwritten(self) -> Counter[tuple[str, str]]:
        """The decisions since the last call."""
        taken, self._unwritten = self._unwritten, Counter()
        return taken

    def take_lags(self) -> Counter[tuple[str, int]]:
        """How many removals had which lag, by leg, since the last call; `removals` has them too."""
        taken, self._lags = self._lags, Counter()
        for (leg, lag_ms), count in taken.items():
            self.removals[leg].add(lag_ms / 1000, count)
        return taken


def _is_by_test_key(scope: Mapping[str, Any]) -> bool:
    """Whether a request shows a test key, be it one that works or not."""
    for name, value in scope.get("headers", ()):
        if name == b"authorization":
            return bool(value.rpartition(b" ")[2].startswith(_TEST_KEY))
    return False
