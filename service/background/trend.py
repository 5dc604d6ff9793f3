"""How many checks this process has answered, and how fast, over the last half an hour."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import msgspec

from roster.times import format_ms, now_ms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.metrics.counters import Counters

EVERY_S = 10.0
KEPT = 180


class TrendPoint(msgspec.Struct, frozen=True):
    """Some seconds of checks; quantiles are of requests, one check or a batch, null without any.

    They are as exact as the buckets of `clearway_check_duration_seconds`.
    """

    at: str
    seconds: float
    checks: int
    requests: int
    p50_ms: float | None
    p99_ms: float | None


class Trend:
    """The points of one process, the oldest first."""

    def __init__(self, counters: Counters) -> None:
        """It begins now."""
        self._counters = counters
        self._points: deque[TrendPoint] = deque(maxlen=KEPT)
        self._seen = self._now()

    @property
    def points(self) -> list[TrendPoint]:
        """Those that are kept, and what has been since the last one."""
        return [*self._points, self._since(self._now())]

    async def note(self) -> None:
        """Keep what has been since the last time as a point."""
        now = self._now()
        self._points.append(self._since(now))
        self._seen = now

    def _now(self) -> tuple[int, int, list[int]]:
        counters = self._counters
        return now_ms(), counters.decisions.total(), list(counters.durations.counts)

    def _since(self, now: tuple[int, int, list[int]]) -> TrendPoint:
        (at_ms, checks, counts), (before_ms, checks_before, counts_before) = now, self._seen
        fresh = [count - old for count, old in zip(counts, counts_before, strict=True)]
        bounds = self._counters.durations.bounds
        return TrendPoint(
            at=format_ms(at_ms),
            seconds=(at_ms - before_ms) / 1000,
            checks=checks - checks_before,
            requests=sum(fresh),
            p50_ms=quantile_ms(fresh, bounds, 0.5),
            p99_ms=quantile_ms(fresh, bounds, 0.99),
        )


def quantile_ms(counts: Sequence[int], bounds_s: Sequence[float], share: float) -> float | None:
    """A quantile of what a histogram has counted, even within each bucket; None: nothing.

    What is above the last bound counts as that.
    """
    total = sum(counts)
    if not total:
        return None
    left, low = share * total, 0.0
    for count, high in zip(counts, bounds_s, strict=False):
        if count and left <= count:
            return round((low + (high - low) * left / count) * 1000, 3)
        left, low = left - count, high
    return round(bounds_s[-1] * 1000, 3)
