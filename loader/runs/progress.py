"""Progress: on a terminal a bar with rate and remaining time, elsewhere a line now and then."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

_Told = Callable[[str, int, int | None], None]
EVERY_S = 10.0
_BYTES = "reading"
"""What is counted in bytes."""


@contextmanager
def progress(every_s: float = EVERY_S) -> Iterator[_Told]:
    """What to tell progress to: what is done, how much of it, of how much."""
    with _bar() if sys.stderr.isatty() else _lines(every_s) as told:
        yield told


@contextmanager
def _lines(every_s: float) -> Iterator[_Told]:
    """One line on standard error every so often, whether or not there is news."""
    state: list[str] = []
    over = threading.Event()

    def told(what: str, done: int, total: int | None) -> None:
        state[:] = [_line(what, done, total)]

    def speak() -> None:
        while not over.wait(every_s):
            with suppress(OSError, ValueError):  # nobody may be listening any more
                sys.stderr.write(f"{state[0] if state else 'preparing'}\n")
                sys.stderr.flush()

    speaker = threading.Thread(target=speak, daemon=True)
    speaker.start()
    try:
        yield told
    finally:
        over.set()
        speaker.join()


def _line(what: str, done: int, total: int | None) -> str:
    amount, whole = (f"{n / 1e6:,.1f}" if what == _BYTES else f"{n:,}" for n in (done, total or 0))
    unit = " MB" if what == _BYTES else ""
    of_all = f" of {whole}{unit} ({100 * done // total} %)" if total else unit
    return f"{what}: {amount}{of_all}"


@contextmanager
def _bar() -> Iterator[_Told]:
    from rich.console import Console  # noqa: PLC0415 -- only a terminal has time for it
    from rich.progress import (  # noqa: PLC0415 -- only a terminal has time for it
        BarColumn,
        Progress,
        TaskID,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description:<10}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        tasks: dict[str, TaskID] = {}

        def told(what: str, done: int, total: int | None) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total, rate="")
            speed = bar.tasks[-1].speed or 0
            rate = f"{speed / 1e6:,.1f} MB/s" if what == _BYTES else f"{speed:,.0f}/s"
            bar.update(tasks[what], completed=done, total=total, rate=rate)

        yield told
