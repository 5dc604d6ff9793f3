"""Plots as SVG, drawn by hand: panels below each other, over the same logarithmic sizes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

WIDTH, PANEL = 640, 220
LEFT, RIGHT, TOP, BETWEEN, BOTTOM = 64, 24, 44, 36, 44
_TICKS = 4
_STYLE = (
    "text{font:12px sans-serif;fill:#333}.t{font-size:15px}.a{stroke:#999}.g{stroke:#ddd}"
    ".l{fill:none;stroke:#1f5fa8;stroke-width:2}.p{fill:#1f5fa8}"
)


class Series(NamedTuple):
    """One panel: a name, and values over sizes above 0."""

    name: str
    sizes: Sequence[float]
    values: Sequence[float]


def plot(title: str, below: str, panels: Sequence[Series]) -> str:
    """The whole drawing; each panel's values begin at 0, `below` names the sizes."""
    height = TOP + len(panels) * (PANEL + BETWEEN) - BETWEEN + BOTTOM
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
            f'width="{WIDTH}" height="{height}">'
        ),
        f"<title>{escape(title)}</title><style>{_STYLE}</style>",
        '<rect width="100%" height="100%" fill="#fff"/>',
        _text(LEFT, 22, title, "t"),
        _text(WIDTH - RIGHT, height - 10, below, anchor="end"),
    ]
    for index, panel in enumerate(panels):
        parts += _panel(panel, TOP + index * (PANEL + BETWEEN))
    return "\n".join([*parts, "</svg>", ""])


def _panel(panel: Series, top: float) -> Iterator[str]:
    most = nice(max(panel.values))
    bottom = top + PANEL
    yield _text(LEFT, top - 6, panel.name)
    for tick in range(_TICKS + 1):
        value = most * tick / _TICKS
        y = bottom - PANEL * tick / _TICKS
        kind = "g" if tick else "a"
        yield f'<line class="{kind}" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield _text(LEFT - 8, y + 4, f"{value:g}", anchor="end")
    places = [
        (_across(size, panel.sizes), bottom - PANEL * value / most)
        for size, value in zip(panel.sizes, panel.values, strict=True)
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    yield f'<polyline class="l" points="{line}"/>'
    for (x, y), size, value in zip(places, panel.sizes, panel.values, strict=True):
        yield f'<circle class="p" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>'
        yield _text(x, y - 9, f"{value:.3g}", anchor="middle")
        yield _text(x, bottom + 16, f"{size:g}", anchor="middle")


def _across(size: float, sizes: Sequence[float]) -> float:
    """Where a size lies: logarithmic, with some room at both ends."""
    low, high = math.log(min(sizes)), math.log(max(sizes))
    share = (math.log(size) - low) / (high - low) if high > low else 0.5
    return LEFT + (WIDTH - LEFT - RIGHT) * (0.05 + 0.9 * share)


def nice(value: float) -> float:
    """A round number that is not below the value, and not far above it."""
    unit = 10.0 ** math.floor(math.log10(value)) if value > 0 else 1.0
    return next(unit * step for step in (1, 2, 4, 5, 8, 10, 20) if unit * step >= value * 1.08)


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text{named} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
