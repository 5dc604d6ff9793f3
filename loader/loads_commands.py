"""The commands about loads that are done, or are to be done by themselves: `undo`."""

from __future__ import annotations

import os
from pathlib import Path

import click
import msgspec

from loader.commands import interruptible
from loader.progress import progress
from loader.session import Session
from loader.undo import Unloading
from loader.undo_report import Writer, diff_file, undone_text
from roster.settings import read_settings

INTERRUPTED = (
    "interrupted: what was undone so far is consistent, and the same command again completes it"
)


@click.command("undo")
@click.argument("load", type=click.IntRange(1), metavar="LOAD")
@click.option("--dry-run", is_flag=True, help="Say what would change, and change nothing.")
@click.option("--diff", type=click.Path(dir_okay=False, path_type=Path),
              help="Where to write a line of each entry: never numbers or names.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print figures as JSON.")
def undo_command(load: int, *, dry_run: bool, diff: Path | None, as_json: bool) -> None:
    """Undo a load (its number is in `clearway loads`), but what was changed since."""
    with (
        interruptible(INTERRUPTED),
        diff_file(diff) as file,
        Session(read_settings(os.environ)) as session,
        progress() as told,
    ):
        writer = Writer(session.lists, session.dictionary.courts, file)
        undone = Unloading(session, load, told, writer).run(dry_run=dry_run)
    figures = msgspec.json.format(msgspec.json.encode(undone), indent=2).decode()
    click.echo(figures if as_json else undone_text(undone))


COMMANDS: list[click.Command] = [undo_command]
