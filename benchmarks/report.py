"""Figures with their limits, as a table or as JSON."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Figure(msgspec.Struct, frozen=True):
    """One measured figure; `at_most` or `at_least` where it has to keep a limit."""

    name: str
    value: float
    unit: str = ""
    at_most: float | None = None
    at_least: float | None = None

    @property
    def missed(self) -> bool:
        """Whether it breaks its limit."""
        high = self.at_most is not None and self.value > self.at_most
        return high or (self.at_least is not None and self.value < self.at_least)

    @property
    def limit(self) -> str:
        """The limit as a table shows it."""
        if self.at_most is not None:
            return f"<= {number(self.at_most)}"
        return "" if self.at_least is None else f">= {number(self.at_least)}"


def number(value: float) -> str:
    """A figure with three or four digits that matter."""
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3g}"


def table(rows: Iterable[Sequence[str]]) -> str:
    """Columns in line: the first to the left, the others to the right."""
    cells = [list(row) for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(*cells, strict=True)]
    lines = []
    for row in cells:
        first = row[0].ljust(widths[0])
        rest = (cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
        lines.append("  ".join((first, *rest)).rstrip())
    return "\n".join(lines)


def show(figures: Sequence[Figure]) -> str:
    """A table of figures, each with its limit and whether it keeps it."""
    rows = [("", "measured", "", "limit", "")]
    rows += [
        (each.name, number(each.value), each.unit, each.limit, _mark(each)) for each in figures
    ]
    return table(rows)


def _mark(figure: Figure) -> str:
    if not figure.limit:
        return ""
    return "MISSED" if figure.missed else "kept"


def machine() -> str:
    """What this ran on, in one line."""
    found = [
        line.split(":", 1)[1].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    cores = len(os.sched_getaffinity(0))
    model = found[0] if found else platform.machine()
    return f"{model}, {cores} cores, Python {platform.python_version()}"


def finish(figures: Sequence[Figure], *, as_json: bool, **more: Any) -> None:  # noqa: ANN401 -- whatever JSON takes
    """Print them, and end with status 1 where one misses its limit."""
    missed = [each.name for each in figures if each.missed]
    if as_json:
        content = {"machine": machine(), "figures": figures, "missed": missed, **more}
        print(msgspec.json.format(msgspec.json.encode(content)).decode())
    else:
        print(f"\n{machine()}\n{show(figures)}")
        if missed:
            print(f"missed: {', '.join(missed)}")
    sys.exit(1 if missed else 0)
