"""Files read by a crew, with what may be said about it: options, progress, rejects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import msgspec

from loader.crew.cores import cores
from loader.crew.crew import Crew
from loader.crew.worker import Setup, Worker
from loader.rows.packing import Context
from loader.rows.scatter import Scattered
from loader.runs.guard import Limits
from loader.runs.intake import Files, Intake, total_bytes
from loader.runs.session import Session

Told = Callable[[str, int, int | None], None]
"""Progress: what is being done, how much of it is done, of how much (None: unknown)."""

_SMALL_BYTES = 4 << 20
"""A file below this is loaded sooner than by processes that start first, packed or not."""


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How to load; `jobs` None leaves it to the machine."""

    files: Files
    limits: Limits = Limits()
    partial: bool = False
    dry_run: bool = False
    allow_empty: bool = False
    again: bool = False
    rejects: Path | None = None
    diff: Path | None = None
    jobs: int | None = None


def crew_for(session: Session, options: Options, context: Context, folder: Path) -> Crew:
    """As many processes as the files are worth."""
    setup = Setup(context, folder, session.opening.target, session.settings.audit_days)
    jobs = options.jobs
    if jobs is None:
        size = total_bytes(options.files.paths)
        small = size is not None and size < _SMALL_BYTES
        jobs = 0 if small else cores()
    with session.at_rest():
        return Crew(partial(Worker, setup), jobs, session.keep_lease)


def read_files(intake: Intake, crew: Crew, told: Told, paths: Sequence[str]) -> Scattered:
    """What the files hold; their rows are put aside. Raises LoadRefused."""
    size = total_bytes(paths)
    for _ in crew.map("read", intake.pieces(lambda read: told("reading", read, size))):
        pass
    found = Scattered()
    for part in crew.each("close_scatter"):
        found.add(part)
    return found
