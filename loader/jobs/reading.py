"""Files read by a crew: how it is asked for, and how far it is."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from loader.jobs.cores import cores
from loader.jobs.crew import Crew, LoadWorker, Setup, Task
from loader.jobs.guard import Limits
from loader.jobs.intake import Files, Intake, total_bytes
from loader.jobs.session import Session
from loader.rows.packed_rows import Context
from loader.rows.scatter import ScatterResult
from loader.words.figures import DOING, PROGRESS, PROGRESS_OF
from roster.embedded import locks
from roster.embedded.server_files import private_folder
from roster.errors import LoadRefused
from roster.keys import PARTITIONS
from roster.speech.language import say

OnProgress = Callable[[str, int, int | None], None]
"""Progress: what is being done, how much of it is done, of how much (None: unknown)."""
EVERY_S = 10.0
_PREFIX, _LOCK = "load-", "lock"
_BYTES = "reading"
"""What is counted in bytes."""
_SMALL_BYTES = 4 << 20
"""A file below this is loaded sooner than by processes that start first, packed or not."""


@contextmanager
def progress(every_s: float = EVERY_S) -> Iterator[OnProgress]:
    """What to tell progress to: what is done, how much of it, of how much."""
    with _bar() if sys.stderr.isatty() else _lines(every_s) as on_progress:
        yield on_progress


@contextmanager
def _lines(every_s: float) -> Iterator[OnProgress]:
    """One line on standard error every so often, whether or not there is news."""
    state = [say(DOING["preparing"])]
    over = threading.Event()

    def on_progress(what: str, done: int, total: int | None) -> None:
        state[:] = [_line(what, done, total)]

    def speak() -> None:
        while not over.wait(every_s):
            with suppress(OSError, ValueError):  # nobody may be listening any more
                sys.stderr.write(f"{state[0]}\n")
                sys.stderr.flush()

    speaker = threading.Thread(target=speak, daemon=True)
    speaker.start()
    try:
        yield on_progress
    finally:
        over.set()
        speaker.join()


def _line(what: str, done: int, total: int | None) -> str:
    amount, whole = (f"{n / 1e6:,.1f}" if what == _BYTES else f"{n:,}" for n in (done, total or 0))
    unit = " MB" if what == _BYTES else ""
    values = {"what": say(DOING[what]), "amount": amount, "unit": unit}
    if not total:
        return say(PROGRESS, **values)
    return say(PROGRESS_OF, whole=whole, percent=100 * done // total, **values)


@contextmanager
def _bar() -> Iterator[OnProgress]:
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

        def on_progress(what: str, done: int, total: int | None) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(say(DOING[what]), total=total, rate="")
            speed = bar.tasks[-1].speed or 0
            rate = f"{speed / 1e6:,.1f} MB/s" if what == _BYTES else f"{speed:,.0f}/s"
            bar.update(tasks[what], completed=done, total=total, rate=rate)

        yield on_progress


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How to load; `jobs` None leaves it to the machine.

    `rejects_kept` is the folder that whoever loads moves the `rejects` to.
    """

    files: Files
    limits: Limits = Limits()
    partial: bool = False
    dry_run: bool = False
    allow_empty: bool = False
    again: bool = False
    rejects: Path | None = None
    rejects_kept: Path | None = None
    diff: Path | None = None
    jobs: int | None = None


@contextmanager
def _spill_folder(data_dir: Path) -> Iterator[Path]:
    """A folder for one load's spills; what loads that were killed have left is removed."""
    try:
        parent = private_folder(data_dir)
        for left in parent.glob(f"{_PREFIX}*"):
            _remove_if_abandoned(left)
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        lock = locks.take_if_free(folder / _LOCK)
    except OSError as exc:
        raise LoadRefused(f"the data folder cannot be written: {exc.strerror}") from exc
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def _remove_if_abandoned(folder: Path) -> None:
    try:
        lock = locks.take_if_free(folder / _LOCK)
    except OSError:
        return
    if lock is not None:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


@contextmanager
def crew_for(session: Session, options: Options, context: Context) -> Iterator[tuple[Crew, Path]]:
    """As many processes as the files are worth, and the folder where they put rows aside."""
    jobs = options.jobs
    if jobs is None:
        size = total_bytes(options.files.paths)
        jobs = 0 if size is not None and size < _SMALL_BYTES else cores()
    with _spill_folder(session.settings.data_dir) as folder:
        setup = Setup(context, folder, session.opening.target, session.settings.audit_days)
        with session.at_rest():
            crew = Crew(partial(LoadWorker, setup), jobs, session.keep_lease)
        with crew:
            yield crew, folder


def read_files(intake: Intake, crew: Crew, on_progress: OnProgress) -> ScatterResult:
    """What the files hold; their rows are put aside. Raises LoadRefused."""
    size = total_bytes(intake.paths)
    for _ in crew.map("read", intake.pieces(lambda read: on_progress("reading", read, size))):
        pass
    found = ScatterResult()
    for part in crew.each("close_scatter"):
        found.add(part)
    return found


def ask(crew: Crew, what: str, on_progress: OnProgress, tasks: Iterable[Task]) -> Iterator[Any]:
    """What each partition's task comes to, as the answers come."""
    for count, answer in enumerate(crew.map("run", tasks), 1):
        on_progress(what, count, PARTITIONS)
        yield answer
