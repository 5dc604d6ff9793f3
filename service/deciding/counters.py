"""What this process has counted and not yet written: decisions, refers, durations, lags."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

BOUNDS_S = (
    *(0.000_25, 0.000_5, 0.001, 0.002, 0.005, 0.01),
    *(0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0),
)
"""Upper bounds of the buckets of a check's duration, in seconds."""


class Counters:
    """Counts since the process began, and what waits to be written to Redis."""

    def __init__(self) -> None:
        """All zero."""
        self.decisions: Counter[tuple[str, str]] = Counter()
        self.unwritten: Counter[tuple[str, str]] = Counter()
        self.refers: Counter[str] = Counter()
        self.durations = [0] * (len(BOUNDS_S) + 1)
        self.duration_sum_s = 0.0
        self.refused = 0
        self.in_flight: Callable[[], int] = int  # none, before there is a line
        self.lags: Counter[tuple[str, int]] = Counter()
        self.changes: Counter[tuple[str, str]] = Counter()

    def decided(self, mode: str, decision: str, refer_code: str = "", count: int = 1) -> None:
        """Count one check's decision, or that of several alike, and for a refer its reason."""
        self.decisions[mode, decision] += count
        self.unwritten[mode, decision] += count
        if refer_code:
            self.refers[refer_code] += 1

    def took(self, duration_s: float) -> None:
        """Count one request for checks by its duration."""
        self.durations[bisect_left(BOUNDS_S, duration_s)] += 1
        self.duration_sum_s += duration_s

    def removed(self, leg: str, lag_ms: int) -> None:
        """Count one removal that took so long to be effective on this leg of its way."""
        self.lags[leg, lag_ms] += 1

    def take_unwritten(self) -> Counter[tuple[str, str]]:
        """The decisions since the last call; give them back with `unwritten.update`."""
        taken, self.unwritten = self.unwritten, Counter()
        return taken

    def take_lags(self) -> Counter[tuple[str, int]]:
        """How many removals had which lag, by leg, since the last call."""
        taken, self.lags = self.lags, Counter()
        return taken
