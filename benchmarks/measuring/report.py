"""Figures with their limits: printed as a table or as JSON, and kept as files."""

from __future__ import annotations

import functools
import inspect
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec
from click.core import ParameterSource

from benchmarks.measuring import plot
from benchmarks.measuring.machine import Machine, machine

T = TypeVar("T")
RESULTS = Path(__file__).resolve().parents[1] / "results"


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

    @property
    def mark(self) -> str:
        """Whether it keeps its limit, as a table shows it; nothing where it has none."""
        if not self.limit:
            return ""
        return "MISSED" if self.missed else "kept"


class Report(msgspec.Struct, frozen=True):
    """What a benchmark has found.

    `rows` is a table of its own, a mapping from titles to cells for each row; `panels` is how
    it is drawn, where bars beside limits say too little; `more` is told in JSON alone.
    """

    figures: Sequence[Figure]
    rows: Sequence[Mapping[str, float | str]] = ()
    panels: Sequence[plot.Panel] = ()
    more: Mapping[str, Any] = {}

    @property
    def missed(self) -> list[str]:
        """The names of the figures that break their limits."""
        return [each.name for each in self.figures if each.missed]


class Run(msgspec.Struct, frozen=True):
    """Which benchmark ran, as it was typed, when and on what."""

    benchmark: str
    options: str
    at: datetime
    machine: Machine

    def __str__(self) -> str:
        """In one line of Markdown."""
        typed = f"python -m benchmarks {self.benchmark} {self.options}".strip()
        return f"`{typed}`, {self.at:%Y-%m-%d}, {self.machine}."


def taken(kind: type[T], options: dict[str, Any]) -> T:
    """What is made of the options with the names of its fields, which are taken out."""
    return kind(**{name: options.pop(name) for name in inspect.signature(kind).parameters})


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


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """The same rows as a table in Markdown; the first are the titles."""
    titles, *others = rows
    ruler = [":---", *["---:"] * (len(titles) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (titles, ruler, *others))


def cells(rows: Sequence[Mapping[str, float | str]]) -> list[list[str]]:
    """The titles, and each row's cells as text."""
    written = [
        [each if isinstance(each, str) else number(each) for each in row.values()] for row in rows
    ]
    return [list(rows[0]), *written]


def limits(figures: Sequence[Figure]) -> list[Sequence[str]]:
    """The titles, and each figure with its limit and whether it keeps it."""
    rows = [(each.name, number(each.value), each.unit, each.limit, each.mark) for each in figures]
    return [("", "measured", "", "limit", ""), *rows]


def show(figures: Sequence[Figure]) -> str:
    """A table of figures, each with its limit and whether it keeps it."""
    return table(limits(figures))


def keep(report: Report, run: Run, folder: Path) -> None:
    """Write a run's table and plot over the last ones, and a line of JSON below all earlier."""
    folder.mkdir(parents=True, exist_ok=True)
    name = run.benchmark
    tables = ([cells(report.rows)] if report.rows else []) + [limits(report.figures)]
    told = [f"# {name}", str(run), *map(markdown, tables), f"![{name}]({name}.svg)"]
    (folder / f"{name}.md").write_text("\n\n".join(told) + "\n", encoding="utf-8")
    _draw(report, name, folder / f"{name}.svg")
    line = msgspec.json.encode(msgspec.structs.asdict(run) | _content(report))
    with (folder / f"{name}.jsonl").open("ab") as file:
        file.write(line + b"\n")


def _draw(report: Report, name: str, path: Path) -> None:
    if report.panels:
        plot.lines(path, name, report.panels)
        return
    bars = [
        plot.Bar(each.name, each.value, each.at_most or each.at_least, each.missed)
        for each in report.figures
    ]
    plot.bars(path, name, bars)


def _content(report: Report) -> dict[str, Any]:
    told = {"figures": report.figures, "rows": report.rows, "missed": report.missed}
    return told | dict(report.more)


def tell(report: Report, on: Machine, *, as_json: bool) -> None:
    """Print it."""
    if as_json:
        content = {"machine": on, **_content(report)}
        print(msgspec.json.format(msgspec.json.encode(content)).decode())
        return
    if report.rows:
        print(f"\n{table(cells(report.rows))}")
    print(f"\n{on}\n{show(report.figures)}")
    if report.missed:
        print(f"missed: {', '.join(report.missed)}")


def _typed() -> Iterator[str]:
    """The options of the command that runs, but the two that each has."""
    context = click.get_current_context()
    for option in context.command.params:
        source = context.get_parameter_source(str(option.name))
        if source is ParameterSource.COMMANDLINE and option.name not in ("as_json", "write"):
            yield from (option.opts[0], str(context.params[str(option.name)]))


def benchmark(help_text: str | None) -> Callable[[Callable[..., Report]], click.Command]:
    """A command that prints the report of what it decorates, with `--json` and `--write`.

    It ends with status 1 where a figure misses its limit.
    """

    def made(measure: Callable[..., Report]) -> click.Command:
        name = Path(inspect.getfile(measure)).stem

        @click.command(name, help=help_text)
        @click.option("--json", "as_json", is_flag=True, help="Print JSON.")
        @click.option("--write", is_flag=False, flag_value=RESULTS, help="Keep it in this folder.",
                      type=click.Path(file_okay=False, path_type=Path))  # fmt: skip
        @functools.wraps(measure)
        def main(*, as_json: bool, write: Path | None, **options: Any) -> None:  # noqa: ANN401 -- the benchmark's own
            run = Run(name, shlex.join(_typed()), datetime.now(UTC), machine())
            report = measure(**options)
            tell(report, run.machine, as_json=as_json)
            if write is not None:
                keep(report, run, write)
            sys.exit(1 if report.missed else 0)

        return main

    return made
