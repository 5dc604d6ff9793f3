"""The commands about loads that are done, or come by themselves: `undo`, `watch`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, get_args

import click
import msgspec

from loader.commands import interruptible, limit_options, limits_of
from loader.jobs.spool import Spool
from loader.jobs.watch import Report, Watching, report_text
from loader.runs.intake import Files
from loader.runs.progress import progress
from loader.runs.reading import Options
from loader.runs.session import Session
from loader.sheets.sources import Format
from loader.undo.report import Writer, diff_file, undone_text
from loader.undo.undo import Unloading
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


@click.command("watch")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--format", "form", type=click.Choice(get_args(Format)), default="auto",
              show_default=True, help="What the files are.")  # fmt: skip
@click.option("--encoding", default="utf-8", show_default=True, help="Or gb18030.")
@limit_options
@click.option("--jobs", type=click.IntRange(0, 256), help="Worker processes.")
@click.option("--json", "as_json", is_flag=True, help="Print each report as a line of JSON.")
def watch_command(folder: Path, *, as_json: bool, **given: Any) -> None:  # noqa: ANN401 -- click's
    """Load what appears in FOLDER with its manifest, in order, until SIGTERM or Ctrl-C.

    Each file goes to done/ or refused/ in it, with its report.
    """
    settings = read_settings(os.environ)
    files = Files((), (), None, given["form"], given["encoding"])
    options = Options(files=files, limits=limits_of(given), jobs=given["jobs"])
    spool = Spool(folder, signed=settings.signature_key_file is not None)
    watching = Watching(settings, spool, options, lambda text: click.echo(text, err=True))

    def reported(report: Report) -> None:
        line = msgspec.json.encode(report).decode() if as_json else report_text(report)
        click.echo(line)
        sys.stdout.flush()

    with interruptible():
        watching.run(reported)
