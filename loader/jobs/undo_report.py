"""What an undo comes to, for people and for programs; never whose an entry is."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import click
import msgspec

from loader.jobs.report import figure, list_figures
from loader.jobs.undo_plan import Step
from loader.words import figures as words
from loader.words.sayings import SAYINGS
from roster.errors import LoadRefused
from roster.records.content import unpack_content
from roster.records.record import readable
from roster.rules.restrictions import Lists
from roster.speech.language import say
from roster.speech.seen import seen
from roster.storage.dictionary import Load

SHOWN_MAX = 1_000
STAYS = "stays"
_COLUMNS = ("list", "entry_id", "case", "court", "what", "now")


class Staying(msgspec.Struct, frozen=True):
    """An entry that somebody else has changed since: `what` is not done, it is as `now` says."""

    list: str
    entry_id: str
    case: str
    court: str
    what: str
    now: str


class Undone(msgspec.Struct, kw_only=True):
    """What an undo did, or (dry run) would do; `staying` are the first thousand of `stays`.

    The lists in `never_loaded` count as never loaded in full: it was their first load. `notes` are
    about processes of the service that were not waited for any longer.
    """

    dry_run: bool
    load: int
    undo: int | None
    name: str
    put_back: int
    removed: int
    changed_back: int
    stays: int
    never_loaded: tuple[str, ...]
    staying: list[Staying]
    notes: list[str]
    seconds: float


class StepWriter:
    """Hears of every entry: keeps what stays, and writes a line of each where that is wanted."""

    def __init__(self, lists: Lists, courts: Mapping[bytes, str], file: IO[str] | None) -> None:
        """`courts` are those that the dictionary knows by the time of the first entry."""
        self._lists = lists
        self._courts = courts
        self._lines = csv.writer(file) if file else None
        self.staying: list[Staying] = []
        if self._lines:
            self._lines.writerow(_COLUMNS)

    def __call__(self, step: Step) -> None:
        """Tell of the entry."""
        shown = step.stays is not None and len(self.staying) < SHOWN_MAX
        if not shown and not self._lines:
            return
        entry = self._staying(step)
        if shown:
            self.staying.append(entry)
        if self._lines:
            what = entry.what if step.stays is None else STAYS
            self._lines.writerow(
                (entry.list, entry.entry_id, entry.case, entry.court, what, entry.now)
            )

    def _staying(self, step: Step) -> Staying:
        with readable():
            content = unpack_content(step.content, self._courts)
        return Staying(
            self._lists.name(step.list), content.entry_id, content.case, content.court, step.what,
            "" if step.stays is None else step.stays.name.lower(),
        )  # fmt: skip


@contextmanager
def diff_file(path: Path | None) -> Iterator[IO[str] | None]:
    """The file to write lines to, if there is to be one: it is there once all went well.

    Raises LoadRefused.
    """
    if path is None:
        yield None
        return
    partial = path.with_name(f"{path.name}.partial")
    try:
        file = partial.open("w", encoding="utf-8", newline="")
    except OSError as exc:
        raise LoadRefused(f"{path}: {exc.strerror}") from exc
    try:
        with file:
            yield file
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def ask(number: int, load: Load | None) -> None:
    """Show what is to be undone to whoever types, and ask; click's Abort for a no."""
    if load is None or not sys.stdin.isatty():
        return
    with seen():
        click.echo(say(words.UNDO_OF, load=number, name=load.actor), err=True)
        for name in load.lists:
            click.echo(list_figures(name, load.did.get(name, {})), err=True)
        click.confirm(say(words.UNDO_ASK), abort=True, err=True)


def undone_text(undone: Undone) -> str:
    """The figures for a person who reads them on a terminal."""
    first = words.WOULD_UNDO if undone.dry_run else words.UNDONE
    counted = {
        "put back": undone.put_back,
        "removed": undone.removed,
        "changed back": undone.changed_back,
        "stays": undone.stays,
    }
    lines = [
        say(first, load=undone.load, name=undone.name),
        *(figure(name, f"{count:>12,}", wide=12) for name, count in counted.items()),
        figure("seconds", f"{undone.seconds:>12.1f}", wide=12),
        *(f"  {SAYINGS.spoken(note)}" for note in undone.notes),
        *(say(words.NEVER_LOADED, name=name) for name in undone.never_loaded),
        *map(_stays, undone.staying),
    ]
    return "\n".join(lines)


def _stays(one: Staying) -> str:
    entry = f"{one.list} {one.entry_id} {one.case} {one.court}"
    return say(words.STAYS, entry=entry, now=one.now, what=one.what)
