"""Plots as SVG: panels of lines, or figures beside their limits."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Points = Sequence[tuple[float, float]]
WIDTH_IN, PANEL_IN, BAR_IN = 8.0, 3.4, 0.32
KEPT, MISSED = "#1f5fa8", "#b3261e"
_NINES = (0.0, 50.0, 90.0, 99.0, 99.9, 99.99, 99.999)


class Panel(msgspec.Struct, frozen=True):
    """Lines by their names; `limits` are points with a name that no line may rise above."""

    name: str
    across: str
    lines: Mapping[str, Points]
    scale: Literal["linear", "log", "percentile"] = "linear"
    limits: Points = ()


class Bar(msgspec.Struct, frozen=True):
    """A figure, and its limit or nothing."""

    name: str
    value: float
    limit: float | None = None
    missed: bool = False


@contextmanager
def _canvas(path: Path, height_in: float) -> Iterator[Figure]:
    """A drawing that is written at the end."""
    import matplotlib.figure  # noqa: PLC0415 -- takes half a second, which only `--write` wants to spend

    # Text stays text, and the same drawing has the same bytes.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": path.stem, "font.size": 9}):
        canvas = matplotlib.figure.Figure(figsize=(WIDTH_IN, height_in), layout="constrained")
        yield canvas
        canvas.savefig(path, format="svg", metadata={"Date": None})


def lines(path: Path, title: str, panels: Sequence[Panel]) -> None:
    """Write the panels below each other."""
    with _canvas(path, PANEL_IN * len(panels)) as canvas:
        canvas.suptitle(title)
        rows = canvas.subplots(len(panels), squeeze=False)
        for axes, panel in zip(rows[:, 0], panels, strict=True):
            _draw(axes, panel)


def _draw(axes: Axes, panel: Panel) -> None:
    place = nines if panel.scale == "percentile" else float
    for name, points in panel.lines.items():
        axes.plot([place(x) for x, _ in points], [y for _, y in points], marker=".", label=name)
    for x, y in panel.limits:
        axes.plot([place(x)], [y], marker="v", color=MISSED, linestyle="")
        axes.annotate(
            f"at most {y:g}", (place(x), y), (0, 6), textcoords="offset points", ha="center"
        )
    axes.set(title=panel.name, xlabel=panel.across)
    axes.grid(visible=True, alpha=0.3)
    if panel.scale == "percentile":
        axes.set_yscale("log")
        axes.margins(y=0.15)
        axes.set_xticks([nines(each) for each in _NINES], [f"{each:g}" for each in _NINES])
    else:
        axes.set_ylim(bottom=0)
        axes.set_xscale(panel.scale)
        sizes = sorted({x for points in panel.lines.values() for x, _ in points})
        axes.set_xticks(sizes, [f"{each:g}" for each in sizes])
        axes.minorticks_off()
    if len(panel.lines) > 1:
        axes.legend()


def nines(percentile: float) -> float:
    """Where a percentile lies: 90 at 1, 99 at 2, 99.9 at 3."""
    return -math.log10(1 - min(percentile, 99.9999999) / 100)


def bars(path: Path, title: str, figures: Sequence[Bar]) -> None:
    """Write figures as bars: as shares of their limits, or else as they are."""
    limited = [each for each in figures if each.limit]
    shown = limited or figures
    with _canvas(path, 1.4 + BAR_IN * len(shown)) as canvas:
        axes = canvas.subplots()
        lengths = [each.value / (each.limit or 1.0) for each in shown]
        colours = [MISSED if each.missed else KEPT for each in shown]
        drawn = axes.barh([each.name for each in shown], lengths, color=colours)
        axes.bar_label(drawn, [f"{each.value:,.3g}" for each in shown], padding=3)
        axes.invert_yaxis()
        axes.margins(x=0.12)
        if limited:
            axes.axvline(1.0, color=MISSED, linestyle="--")
        axes.set(title=title, xlabel="of the limit" if limited else "")
