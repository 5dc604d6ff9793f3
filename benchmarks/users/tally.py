"""What a load has measured: times to the microsecond, faults, referrals, and its own expense."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from hdrh.histogram import HdrHistogram

from benchmarks.measuring.report import Figure
from benchmarks.users.judging import FALSE_ALLOW, FALSE_DENIAL, REFERRED, WRONG

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_LONGEST_US = 600_000_000
_BUSY, _LATE_MS = 0.9, 50.0
_LATE = "generator: late by"
REQUESTS, CHECKS, FAILED, EXPECTED = "requests", "checks", "failed", "referred as it should be"
STARTED, UNSENT, CPU_MS = "started", "unsent", "cpu ms"
SECONDS, BUSY_SECONDS, BUSIEST = "seconds", "busy seconds", "busiest"


class Limits(NamedTuple):
    """What a run has to keep; `p99_ms` by the first word of a name."""

    p99_ms: Mapping[str, float]
    failed: float
    referred: float
    unsent: float
    rate: float


class Tally:
    """The sums of one process, or of several."""

    def __init__(self) -> None:
        """None yet."""
        self.histograms: dict[str, HdrHistogram] = {}
        self.counts: Counter[str] = Counter()
        self.busiest = 0.0

    def time(self, name: str, seconds: float) -> None:
        """Something took so long."""
        self._histogram(name).record_value(max(1, round(seconds * 1e6)))

    def late(self, seconds: float) -> None:
        """The generator did something so much later than it should."""
        self.time(_LATE, seconds)

    def second(self, cpu_s: float, wall_s: float) -> None:
        """The generator had this of a CPU while so much time went by."""
        self.counts[CPU_MS] += round(cpu_s * 1000)
        self.counts[SECONDS] += 1
        self.counts[BUSY_SECONDS] += cpu_s > _BUSY * wall_s
        self.busiest = max(self.busiest, cpu_s / wall_s)

    def taken(self) -> dict[str, Any]:
        """All of it as another process's `add` takes it; what comes later counts anew."""
        histograms = {name: each.encode() for name, each in self.histograms.items()}
        taken = {"histograms": histograms, "counts": {**self.counts}, "busiest": self.busiest}
        self.clear()
        return taken

    def add(self, taken: Mapping[str, Any]) -> None:
        """What another process has measured since it last said so."""
        for name, encoded in taken["histograms"].items():
            self._histogram(name).decode_and_add(encoded)
        self.counts.update(taken["counts"])
        self.busiest = max(self.busiest, taken["busiest"])

    def clear(self) -> None:
        """Forget all."""
        self.histograms.clear()
        self.counts.clear()
        self.busiest = 0.0

    def _histogram(self, name: str) -> HdrHistogram:
        found = self.histograms.get(name)
        if found is None:
            found = self.histograms[name] = HdrHistogram(1, _LONGEST_US, 3)
        return found


def figures(tally: Tally, limits: Limits, seconds: float) -> Iterator[Figure]:
    """What was measured in so many seconds, with its limits."""
    for name in sorted({*tally.histograms} - {_LATE}):
        yield from _times(tally, name, limits.p99_ms.get(name.split()[0]))
    yield from _answers(tally.counts, limits)
    requests = max(1, tally.counts[REQUESTS])
    yield Figure("requests a second", requests / seconds, at_least=limits.rate)
    yield Figure("checks a second", tally.counts[CHECKS] / seconds)
    unsent = _unsent(tally.counts)
    yield Figure("share of what was planned that was not sent", unsent, at_most=limits.unsent)
    yield Figure("generator: CPU of a request", tally.counts[CPU_MS] / requests, "ms")
    yield Figure("generator: busiest process in its busiest second", tally.busiest * 100, "%")
    yield Figure(f"{_LATE}: p99", _late_ms(tally), "ms")


def saturation(tally: Tally, limits: Limits) -> str:
    """Why the figures are rather the generator's than the service's; empty where they are not."""
    busy = tally.counts[BUSY_SECONDS] / max(1, tally.counts[SECONDS])
    if busy > 0.05:
        return (
            f"THE GENERATOR IS SATURATED: a process had more than {_BUSY:.0%} of a CPU in "
            f"{busy:.0%} of the seconds. Times are its own; use more workers."
        )
    if (late_ms := _late_ms(tally)) > _LATE_MS:
        return (
            f"THE GENERATOR IS SATURATED: one time in a hundred it woke up {late_ms:.0f} ms late "
            "or more. Times are its own; give it a machine of its own, or use more workers."
        )
    if (unsent := _unsent(tally.counts)) > limits.unsent:
        return (
            f"THE LOAD WAS NOT REACHED: users could not send {unsent:.0%} of what was planned, "
            "since they waited for answers. Use more users, or fewer a worker."
        )
    return ""


def _late_ms(tally: Tally) -> float:
    late = tally.histograms.get(_LATE)
    return 0.0 if late is None else float(late.get_value_at_percentile(99)) / 1000


def _unsent(counts: Counter[str]) -> float:
    return counts[UNSENT] / max(1, counts[STARTED] + counts[UNSENT])


def _times(tally: Tally, name: str, limit: float | None) -> Iterator[Figure]:
    for percentile, at_most in ((50, None), (99, limit), (99.9, None)):
        value = tally.histograms[name].get_value_at_percentile(percentile) / 1000
        yield Figure(f"{name}: p{percentile:g}", value, "ms", at_most=at_most)


def _answers(counts: Counter[str], limits: Limits) -> Iterator[Figure]:
    checks, requests = max(1, counts[CHECKS]), max(1, counts[REQUESTS])
    yield Figure("false denials", counts[FALSE_DENIAL], at_most=0)
    yield Figure("listed people allowed", counts[FALSE_ALLOW], at_most=0)
    other = sum(count for name, count in counts.items() if name.startswith(WRONG))
    yield Figure("answers wrong otherwise", other, at_most=0)
    reasons = {name: count for name, count in counts.items() if name.startswith(REFERRED)}
    referred = sum(reasons.values()) / checks
    yield Figure("share referred though they need not be", referred, at_most=limits.referred)
    yield from (Figure(name, count) for name, count in sorted(reasons.items()))
    yield Figure(f"{REFERRED}name_mismatch, as it should be", counts[EXPECTED])
    yield Figure("share of failed requests", counts[FAILED] / requests, at_most=limits.failed)
