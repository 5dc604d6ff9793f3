"""Metrics as Prometheus reads them: their names, samples and text, and several processes' sum.

Why this is no library's: docs/decisions/0012-metrics-by-hand.md.
"""

from __future__ import annotations

from itertools import accumulate, chain
from typing import TYPE_CHECKING, Any, Literal

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from service.metrics.counters import Histogram

MEDIA_TYPE = "text/plain; version=0.0.4"
PREFIX = "clearway_"
Labels = tuple[tuple[str, str], ...]
Sample = tuple[str, Labels, float]
Kind = Literal["counter", "gauge", "histogram"]
Over = Literal["sum", "max", "min"]
_OVER: Mapping[Over, Callable[[float, float], float]] = {
    "sum": lambda a, b: a + b,
    "max": max,
    "min": min,
}


class Family(msgspec.Struct):
    """One metric: its name, type and help, and its samples.

    `over` says how the values of several processes become one.
    """

    name: str
    kind: Kind
    text: str
    over: Over = "sum"
    samples: list[Sample] = []

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

    def with_others(self, other: Family) -> Family:
        """A family with what another process has of it, too."""
        values = {(name, labels): value for name, labels, value in self.samples}
        joined = _OVER[self.over]
        for name, labels, value in other.samples:
            key = name, labels
            values[key] = joined(values[key], value) if key in values else value
        samples = [(*key, value) for key, value in values.items()]
        return msgspec.structs.replace(self, samples=samples)

    def written(self) -> str:
        """The family as Prometheus reads it."""
        head = f"# HELP {self.name} {self.text}\n# TYPE {self.name} {self.kind}\n"
        return head + "".join(map(_line, self.samples))


def counter(name: str, text: str, *labels: str, values: Mapping[Any, float]) -> Family:
    """A counter whose values are told apart by these labels; `name` is without the prefix."""
    return Family(PREFIX + name, "counter", text).of(_by(values, labels))


def count(name: str, text: str, value: float) -> Family:
    """A counter without labels."""
    return Family(PREFIX + name, "counter", text).of([((), value)])


def gauge(name: str, text: str, value: float, over: Over = "sum") -> Family:
    """A gauge without labels."""
    return Family(PREFIX + name, "gauge", text, over).of([((), value)])


def labelled(
    name: str, text: str, *labels: str, values: Mapping[Any, float], over: Over = "max"
) -> Family:
    """A gauge whose values are told apart by these labels."""
    return Family(PREFIX + name, "gauge", text, over).of(_by(values, labels))


def histogram(name: str, text: str, found: Mapping[Labels, Histogram]) -> Family:
    """Histograms that are told apart by these labels."""
    family = Family(PREFIX + name, "histogram", text)
    for labels, each in found.items():
        family.with_histogram(each, labels)
    return family


def together(parts: Iterable[Iterable[Family]]) -> list[Family]:
    """What several processes have counted, as one process would tell it."""
    found: dict[str, Family] = {}
    for family in chain.from_iterable(parts):
        known = found.get(family.name)
        found[family.name] = known.with_others(family) if known else family
    return list(found.values())


def lasting(families: Iterable[Family]) -> list[Family]:
    """What stays true of a process that has ended: all but gauges."""
    return [family for family in families if family.kind != "gauge"]


def render(families: Iterable[Family]) -> bytes:
    """The text format of these families."""
    return "".join(family.written() for family in families).encode()


def _by(values: Mapping[Any, float], names: tuple[str, ...]) -> Iterator[tuple[Labels, float]]:
    """Keys are tuples of texts, or texts where there is one label."""
    for key, value in sorted(values.items()):
        texts = (key,) if isinstance(key, str) else key
        yield tuple(zip(names, map(str, texts), strict=True)), value


def _line(sample: Sample) -> str:
    name, labels, value = sample
    shown = ",".join(f'{label}="{_escape(text)}"' for label, text in labels)
    return f"{name}{{{shown}}} {_number(value)}\n" if shown else f"{name} {_number(value)}\n"


def _escape(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)
