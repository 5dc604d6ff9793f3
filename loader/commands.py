"""The loader's commands: `load`, `verify`, `sign`, `generate`, `undo`, `watch`."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import reduce
from pathlib import Path
from typing import Any, get_args

import click
import msgspec

from loader.files.sources import Format
from loader.files.streams import STDIN
from loader.jobs.guard import Limits, check_options, parse_limit
from loader.jobs.intake import Files, check_outputs
from loader.jobs.load import NO_AS_OF, Loading
from loader.jobs.manifest import Manifest, manifest_path, read_manifest
from loader.jobs.reading import Options, progress
from loader.jobs.report import summary_text
from loader.jobs.session import Session
from loader.jobs.sign import sign
from loader.jobs.spool import Spool
from loader.jobs.undo import Undoing
from loader.jobs.undo_report import StepWriter, ask, diff_file, undone_text
from loader.jobs.verify import Verifying, verification_text
from loader.jobs.watch import Report, Watching, report_text
from loader.synthetic.synthetic import generate
from loader.synthetic.world import FileShape, Recipe
from loader.words.figures import GENERATED, SIGNED
from loader.words.sayings import SAYINGS
from roster.errors import LoadRefused
from roster.rules.lists import load_lists
from roster.settings import read_settings
from roster.speech.helps import SpokenCommand
from roster.speech.language import in_language, say
from roster.times import parse_time

INTERRUPTED = (
    "interrupted: what was merged so far is consistent, and the same command again completes it"
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print figures as JSON.")
READING = (
    click.option("--jobs", type=click.IntRange(0, 256), help="Worker processes."),
    click.option("--encoding", default="utf-8", show_default=True, help="Or gb18030."),
    click.option("--format", "form", type=click.Choice(get_args(Format)), default="auto",
                 show_default=True, help="What the files are."),
)  # fmt: skip
UNDO_INTERRUPTED = (
    "interrupted: what was undone so far is consistent, and the same command again completes it"
)


class Parsed(click.ParamType[Any]):
    """What a function makes of a text; its ValueError says what is wrong."""

    def __init__(self, name: str, parse: Callable[[str], object]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ANN401 -- click's
        """The value of the text."""
        try:
            return self._parse(value) if isinstance(value, str) else value
        except ValueError as exc:
            return self.fail(SAYINGS.spoken(str(exc)), param, ctx)


TIME, LIMIT = Parsed("time", parse_time), Parsed("limit", parse_limit)
FILES = (
    JSON,
    *READING,
    click.option("--as-of", type=TIME, help="What time the files speak for."),
    click.option("--list", "lists", multiple=True, help="The list; may be repeated."),
    click.argument("files", nargs=-1, required=True),
)
LIMITS = tuple(
    click.option(f"--max-{what}", type=LIMIT, default=limit, show_default=True)
    for what, limit in (
        ("warnings", "1%"), ("rejects", "1%"), ("additions", "5%"), ("removals", "1%"),
    )
)  # fmt: skip


def options(each: Iterable[Callable[..., Any]]) -> Callable[..., Any]:
    """A decorator that adds these options to a command, the last first."""
    return lambda command: reduce(lambda so_far, option: option(so_far), each, command)


def _files(given: dict[str, Any]) -> Files:
    return Files(given["files"], given["lists"], given["as_of"], given["form"], given["encoding"])


def _require_as_of(files: Files) -> None:
    """Raise UsageError where nobody says what time a whole snapshot speaks for."""
    manifests = [read_manifest(path, None) for path in files.paths if path != STDIN]
    stated = [manifest for manifest in manifests if manifest is not None and manifest.as_of]
    if files.as_of is None and not stated:
        raise click.UsageError(SAYINGS.spoken(NO_AS_OF))


@contextmanager
def interruptible(what: str = INTERRUPTED) -> Iterator[None]:
    """Make a refusal in these words of Ctrl-C."""
    try:
        yield
    except KeyboardInterrupt as exc:
        raise LoadRefused(what) from exc


def limits_of(given: dict[str, Any]) -> Limits:
    """The limits that the options of `LIMITS` state."""
    return Limits(**{name: given[f"max_{name}"] for name in Limits.__struct_fields__})


@click.command("load", cls=SpokenCommand)
@in_language
@options(FILES)
@click.option("--partial", is_flag=True, help="Some entries only: what is not there stays.")
@click.option("--dry-run", is_flag=True, help="Say what would change, and change nothing.")
@options(LIMITS)
@click.option("--allow-empty", is_flag=True, help="A list without any row ends all its entries.")
@click.option("--again", is_flag=True, help="Load what was loaded last once more.")
@click.option("--rejects", type=click.Path(dir_okay=False, path_type=Path),
              help="Where to say which rows cannot be used; else in the data folder.")  # fmt: skip
@click.option("--diff", type=click.Path(dir_okay=False, path_type=Path),
              help="Where to say, as CSV, which entries it adds, changes and ends.")  # fmt: skip
def load_command(*, as_json: bool, **given: Any) -> None:  # noqa: ANN401 -- click's
    """Bring whole files into the roster: each a full snapshot of its lists."""
    own = {name: given[name] for name in Options.__struct_fields__ if name in given}
    how = Options(**own | {"files": _files(given), "limits": limits_of(given)})
    check_outputs(how.files.paths, [how.rejects, how.diff])
    settings = read_settings(os.environ)
    check_options(how.files.lists, load_lists(settings.lists_file))
    if not how.partial:
        _require_as_of(how.files)
    with interruptible(), Session(settings) as session, progress() as on_progress:
        summary = Loading(session, how, on_progress).run()
    click.echo(_json(summary) if as_json else summary_text(summary))


@click.command("verify", cls=SpokenCommand)
@in_language
@options(FILES)
@click.option("--repair", is_flag=True, help="Merge again what differs.")
def verify_command(*, repair: bool, as_json: bool, **given: Any) -> None:  # noqa: ANN401 -- click's
    """Say whether the roster equals the files; status 1 where it does not."""
    how = Options(files=_files(given), jobs=given["jobs"])
    settings = read_settings(os.environ)
    check_options(how.files.lists, load_lists(settings.lists_file))
    with interruptible(), Session(settings) as session, progress() as on_progress:
        verdict = Verifying(session, how, on_progress).run(repair=repair)
    click.echo(_json(verdict) if as_json else verification_text(verdict))
    if not verdict.equal:
        sys.exit(1)


@click.command("sign", cls=SpokenCommand)
@in_language
@click.argument("file")
@click.option("--private-key", type=click.Path(path_type=Path), required=True,
              help="A file with an Ed25519 private key in PEM.")  # fmt: skip
@click.option("--list", "lists", multiple=True, help="The lists; else those that the rows name.")
@click.option("--as-of", type=TIME, help="What time the file speaks for; else now.")
@click.option("--format", "form", type=click.Choice(get_args(Format)), default="auto")
@click.option("--encoding", default="utf-8", show_default=True, help="Or gb18030.")
@click.option("--json", "as_json", is_flag=True, help="Print the manifest.")
def sign_command(*, file: str, private_key: Path, as_json: bool, **given: Any) -> None:  # noqa: ANN401 -- click's
    """Write the file's manifest and its signature."""
    files, lists = _files(given | {"files": (file,)}), read_settings(os.environ).lists_file
    manifest = sign(files, private_key, load_lists(lists), time.time_ns() // 1_000_000)
    values = {"rows": manifest.rows, "lists": ", ".join(manifest.lists or ())}
    click.echo(_json(manifest) if as_json else say(SIGNED, at=manifest.as_of, **values))


@click.command("generate", cls=SpokenCommand)
@in_language
@click.option("--people", type=click.IntRange(1), required=True)
@click.option("--entries", type=click.IntRange(1), required=True)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True,
              help="The list: JSON Lines if .jsonl, else CSV; .gz packs it.")  # fmt: skip
@click.option("--shape", type=click.Choice(get_args(FileShape)), default="party", show_default=True,
              help="How its rows are written.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
@click.option("--changes", type=click.IntRange(0), default=0, show_default=True)
@click.option("--changes-out", type=click.Path(dir_okay=False, path_type=Path),
              help="Changes to the list's entries, for `push`.")  # fmt: skip
@JSON
def generate_command(*, out: Path, changes_out: Path | None, as_json: bool, **recipe: Any) -> None:  # noqa: ANN401 -- click's
    """Write a list of people who do not exist, always the same for a seed.

    A manifest beside it names its lists.
    """
    made = Recipe(**recipe)
    try:
        with progress() as on_progress:
            summary = generate(
                made, out, changes_out, lambda rows: on_progress("writing", rows, made.entries)
            )
        manifest = msgspec.json.encode(Manifest(lists=summary.lists))
        manifest_path(str(out)).write_bytes(manifest + b"\n")
    except ValueError as exc:
        raise click.UsageError(SAYINGS.spoken(str(exc))) from exc
    except OSError as exc:
        raise click.ClickException(SAYINGS.spoken(f"{out}: {exc.strerror}")) from exc
    values = {"entries": summary.entries, "people": summary.people, "at": summary.as_of}
    click.echo(_json(summary) if as_json else say(GENERATED, **values))


def _say(text: str) -> None:
    click.echo(SAYINGS.spoken(text), err=True)


def _json(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


@click.command("undo", cls=SpokenCommand)
@in_language
@click.argument("load", type=click.IntRange(1), metavar="LOAD")
@click.option("--dry-run", is_flag=True, help="Say what would change, and change nothing.")
@click.option("--diff", type=click.Path(dir_okay=False, path_type=Path),
              help="Where to write a line of each entry: never numbers or names.")  # fmt: skip
@click.option("--yes", "-y", is_flag=True, help="Do not ask whether to go on.")
@JSON
def undo_command(load: int, *, yes: bool, dry_run: bool, diff: Path | None, as_json: bool) -> None:
    """Undo a load (its number is in `clearway loads`), but what was changed since."""
    with (
        interruptible(UNDO_INTERRUPTED),
        diff_file(diff) as file,
        Session(read_settings(os.environ)) as session,
    ):
        if not (yes or dry_run):
            ask(load, session.run(session.dictionary.all_loads()).get(load))
        writer = StepWriter(session.lists, session.dictionary.courts, file)
        with progress() as on_progress:
            undone = Undoing(session, load, on_progress, writer).run(dry_run=dry_run)
    click.echo(_json(undone) if as_json else undone_text(undone))


@click.command("watch", cls=SpokenCommand)
@in_language
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@options((*LIMITS, *READING))
@click.option("--json", "as_json", is_flag=True, help="Print each report as a line of JSON.")
def watch_command(folder: Path, *, as_json: bool, **given: Any) -> None:  # noqa: ANN401 -- click's
    """Load what appears in FOLDER with its manifest, in order, until SIGTERM or Ctrl-C.

    Each file goes to done/ or refused/ in it, with its report.
    """
    settings = read_settings(os.environ)
    files = Files((), (), None, given["form"], given["encoding"])
    how = Options(files=files, limits=limits_of(given), jobs=given["jobs"])
    spool = Spool(folder, signed=settings.signature_key_file is not None)
    watching = Watching(settings, spool, how, _say)

    def reported(report: Report) -> None:
        line = msgspec.json.encode(report).decode() if as_json else report_text(report)
        click.echo(line)
        sys.stdout.flush()

    with interruptible():
        watching.run(reported)
