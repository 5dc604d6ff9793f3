"""Every metric of this process, as the text that Prometheus reads.

The names are those that dashboards of others rely on (docs/operations.md, Metrics).
"""

from __future__ import annotations

import math
from itertools import accumulate
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from roster.storage.api_keys import ApiKey
    from service.audit.ledger import Ledger
    from service.audit.recorder import Recorder
    from service.background.canary import Canary
    from service.background.counters import Counters, Histogram
    from service.following.screener import Screener

MEDIA_TYPE = "text/plain; version=0.0.4"
Labels = tuple[tuple[str, str], ...]
Sample = tuple[str, Labels, float]


class Family:
    """One metric's name, type and help, and its samples."""

    def __init__(self, name: str, kind: str, text: str) -> None:
        """`name` is without Clearway's prefix."""
        self.name = f"clearway_{name}"
        self.samples: list[Sample] = []
        self._head = f"# HELP {self.name} {text}\n# TYPE {self.name} {kind}\n"

    def of(self, values: Iterable[tuple[Labels, float]]) -> Family:
        """Itself, with these values by their labels."""
        self.samples += [(self.name, labels, value) for labels, value in values]
        return self

    def with_histogram(self, histogram: Histogram, labels: Labels = ()) -> Family:
        """Itself, with this histogram's samples."""
        upto = list(accumulate(histogram.counts))
        for bound, count in zip((*map(_number, histogram.bounds), "+Inf"), upto, strict=True):
            self.samples.append((f"{self.name}_bucket", (*labels, ("le", bound)), count))
        self.samples.append((f"{self.name}_sum", labels, histogram.total))
        self.samples.append((f"{self.name}_count", labels, upto[-1]))
        return self

    def text(self) -> str:
        """The family as Prometheus reads it."""
        return self._head + "".join(map(_line, self.samples))


def process_families(counters: Counters, screener: Screener) -> Iterator[Family]:
    """What this process counts itself, and how fresh it is."""
    yield Family("checks_total", "counter", "Checks answered.").of(
        _by(counters.decisions, "mode", "decision")
    )
    yield Family("refers_total", "counter", "Checks referred, by reason.").of(
        _by({(reason,): count for reason, count in counters.refers.items()}, "reason")
    )
    refused = Family("refused_total", "counter", "Requests turned away as there were too many.")
    yield refused.of([((), counters.refused)])
    yield gauge("checks_in_flight", "Checks in hand or in line.", float(counters.in_flight()))
    yield Family("filter_hits_total", "counter", "Checks that the filter did not clear.").of(
        _by({("true",): screener.true_hits, ("false",): screener.false_hits}, "kind")
    )
    yield Family(
        "check_duration_seconds", "histogram", "Requests for checks, one or a batch."
    ).with_histogram(counters.durations)
    removals = Family("removal_lag_seconds", "histogram", "Removals, by leg of their way.")
    for leg, histogram in counters.removals.items():
        removals.with_histogram(histogram, (("leg", leg),))
    yield removals
    if math.isfinite(screener.news.age_ms):
        yield gauge(
            "fresh_age_seconds", "Since the last complete poll.", screener.news.age_ms / 1000
        )
    yield gauge("ready", "Whether checks are decided here.", float(screener.ready))
    yield gauge("filter_bytes", "The filters' memory.", float(screener.size_bytes))


def canary_families(canary: Canary) -> Iterator[Family]:
    """How the probe fares that is put on the roster and taken off again."""
    yield Family("canary_rounds_total", "counter", "Rounds of the canary.").of(
        [((), canary.rounds)]
    )
    yield Family("canary_failures_total", "counter", "Rounds that went wrong.").of(
        [((), canary.failures)]
    )
    if canary.lag_ms is not None:
        yield gauge("canary_lag_seconds", "The last removal's way.", canary.lag_ms / 1000)


def key_families(known: Iterable[ApiKey], now_ms: int) -> Iterator[Family]:
    """When API keys expire, of those that still work and ever will."""
    ends: dict[tuple[str, ...], float] = {
        (key.id, key.name): key.expires_ms / 1000
        for key in known
        if key.expires_ms is not None and key.works(now_ms)
    }
    yield labelled("key_expires_timestamp_seconds", "When a key expires.", ("key", "name"), ends)


def sandbox_families(decided: Mapping[str, int]) -> Iterator[Family]:
    """What test keys were answered, which counts nowhere else; `decided` is by decision."""
    yield Family("sandbox_checks_total", "counter", "Checks by test keys.").of(
        _by({(decision,): count for decision, count in decided.items()}, "decision")
    )


def audit_families(audit: Recorder, ledger: Ledger) -> Iterator[Family]:
    """What this process has said to the audit, and could not."""
    yield Family("audit_records_total", "counter", "Audit records written.").of(
        [((), audit.records)]
    )
    yield Family("audit_lost_total", "counter", "Audit records dropped unwritten.").of(
        [((), audit.lost)]
    )
    yield gauge("audit_waiting", "Audit records not written yet.", float(audit.waiting))
    yield Family(
        "late_overlooked_total", "counter", "Removals whose late denials were not looked for."
    ).of([((), ledger.overlooked)])


def gauge(name: str, text: str, value: float) -> Family:
    """A gauge without labels."""
    return Family(name, "gauge", text).of([((), value)])


def labelled(
    name: str, text: str, labels: Sequence[str], values: Mapping[tuple[str, ...], float]
) -> Family:
    """A gauge whose values are told apart by these labels."""
    return Family(name, "gauge", text).of(_by(values, *labels))


def render(families: Iterable[Family]) -> bytes:
    """The text format of these families."""
    return "".join(family.text() for family in families).encode()


def _by(values: Mapping[Any, float], *names: str) -> Iterator[tuple[Labels, float]]:
    for key, value in sorted(values.items()):
        yield tuple(zip(names, key, strict=True)), value


def _line(sample: Sample) -> str:
    name, labels, value = sample
    shown = ",".join(f'{label}="{_escape(text)}"' for label, text in labels)
    return f"{name}{{{shown}}} {_number(value)}\n" if shown else f"{name} {_number(value)}\n"


def _escape(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)
