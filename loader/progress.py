"""Progress on a terminal, with rate and remaining time; elsewhere silence."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

_Told = Callable[[str, int, int | None], None]


@contextmanager
def progress() -> Iterator[_Told]:
    """What to tell progress to: what is done, how much of it, of how much."""
    console = Console(stderr=True)
    if not sys.stderr.isatty():
        yield _silent
        return
    columns = (
        TextColumn("{task.description:<10}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        tasks: dict[str, TaskID] = {}

        def told(what: str, done: int, total: int | None) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total, rate="")
            speed = bar.tasks[-1].speed or 0
            rate = f"{speed / 1e6:,.1f} MB/s" if what == "reading" else f"{speed:,.0f}/s"
            bar.update(tasks[what], completed=done, total=total, rate=rate)

        yield told


def _silent(_what: str, _done: int, _total: int | None) -> None:
    pass
