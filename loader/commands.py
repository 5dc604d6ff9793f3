"""The loader's commands: `load`, `verify`, `sign`, `generate`."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

import click
import msgspec

from loader.files.manifest import Manifest, manifest_path, read_manifest
from loader.files.streams import STDIN
from loader.jobs.merge import NO_AS_OF, Loading
from loader.jobs.sign import Signing, sign
from loader.jobs.verify import Verifying, verdict_text
from loader.runs.guard import Limit, Limits, parse_limit
from loader.runs.intake import Files, check_outputs
from loader.runs.progress import progress
from loader.runs.reading import Options
from loader.runs.report import summary_text
from loader.runs.session import Session
from loader.sheets.sources import Format
from loader.synthetic.synthetic import generate
from loader.synthetic.world import Recipe, Shape
from roster.errors import LoadRefused
from roster.rules.lists import load_lists
from roster.settings import read_settings
from roster.times import parse_time

INTERRUPTED = (
    "interrupted: what was merged so far is consistent, and the same command again completes it"
)


class TimeText(click.ParamType[int]):
    """RFC 3339, or a date: its first instant in Beijing."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:  # noqa: ANN401 -- click's
        """Milliseconds since 1970."""
        try:
            return value if isinstance(value, int) else parse_time(value)
        except ValueError as exc:
            return self.fail(str(exc), param, ctx)


class LimitText(click.ParamType[Limit]):
    """A percentage, or a number."""

    name = "limit"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None  # noqa: ANN401 -- click's
    ) -> Limit:  # fmt: skip
        """The limit."""
        try:
            return value if isinstance(value, Limit) else parse_limit(value)
        except ValueError as exc:
            return self.fail(str(exc), param, ctx)


def _file_options(command: Callable[..., None]) -> Callable[..., None]:
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print figures as JSON."),
        click.option("--jobs", type=click.IntRange(0, 256), help="Worker processes."),
        click.option("--encoding", default="utf-8", show_default=True, help="Or gb18030."),
        click.option(
            "--format", "form", type=click.Choice(get_args(Format)), default="auto",
            show_default=True, help="What the files are.",
        ),
        click.option("--as-of", type=TimeText(), help="What time the files speak for."),
        click.option("--list", "lists", multiple=True, help="The list; may be repeated."),
        click.argument("files", nargs=-1, required=True),
    ):  # fmt: skip
        command = option(command)
    return command


def _files(given: dict[str, Any]) -> Files:
    return Files(given["files"], given["lists"], given["as_of"], given["form"], given["encoding"])


def _require_as_of(files: Files) -> None:
    """Nothing; raises UsageError where nobody says what time a whole snapshot speaks for."""
    manifests = [read_manifest(path, None) for path in files.paths if path != STDIN]
    stated = [manifest for manifest in manifests if manifest is not None and manifest.as_of]
    if files.as_of is None and not stated:
        raise click.UsageError(NO_AS_OF)


@contextmanager
def interruptible(what: str = INTERRUPTED) -> Iterator[None]:
    """Nothing; Ctrl-C is told as a refusal, in these words."""
    try:
        yield
    except KeyboardInterrupt as exc:
        raise LoadRefused(what) from exc


def limit_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options that say how much a file may change, and how much of it may be unusable."""
    for option in (
        click.option("--max-warnings", type=LimitText(), default="1%", show_default=True),
        click.option("--max-rejects", type=LimitText(), default="1%", show_default=True),
        click.option("--max-additions", type=LimitText(), default="5%", show_default=True),
        click.option("--max-removals", type=LimitText(), default="1%", show_default=True),
    ):
        command = option(command)
    return command


def limits_of(given: dict[str, Any]) -> Limits:
    """The limits that the options of `limit_options` state."""
    return Limits(
        removals=given["max_removals"],
        additions=given["max_additions"],
        rejects=given["max_rejects"],
        warnings=given["max_warnings"],
    )


@click.command("load")
@_file_options
@click.option("--partial", is_flag=True, help="Some entries only: what is not there stays.")
@click.option("--dry-run", is_flag=True, help="Say what would change, and change nothing.")
@limit_options
@click.option("--allow-empty", is_flag=True, help="A list without any row ends all its entries.")
@click.option("--again", is_flag=True, help="Load what was loaded last once more.")
@click.option("--rejects", type=click.Path(dir_okay=False, path_type=Path),
              help="Where to say which rows cannot be used; else in the data folder.")  # fmt: skip
@click.option("--diff", type=click.Path(dir_okay=False, path_type=Path),
              help="Where to say, as CSV, which entries it adds, changes and ends.")  # fmt: skip
def load_command(*, as_json: bool, **given: Any) -> None:  # noqa: ANN401 -- click's
    """Bring whole files into the roster: each a full snapshot of its lists."""
    limits = limits_of(given)
    options = Options(
        files=_files(given),
        limits=limits,
        partial=given["partial"],
        dry_run=given["dry_run"],
        allow_empty=given["allow_empty"],
        again=given["again"],
        rejects=given["rejects"],
        diff=given["diff"],
        jobs=given["jobs"],
    )
    check_outputs(options.files.paths, [options.rejects, options.diff])
    if not options.partial:
        _require_as_of(options.files)
    with interruptible(), Session(read_settings(os.environ)) as session, progress() as told:
        summary = Loading(session, options, told).run()
    click.echo(_json(summary) if as_json else summary_text(summary))


@click.command("verify")
@_file_options
@click.option("--repair", is_flag=True, help="Merge again what differs.")
def verify_command(*, repair: bool, as_json: bool, **given: Any) -> None:  # noqa: ANN401 -- click's
    """Say whether the roster equals the files; status 1 where it does not."""
    options = Options(files=_files(given), jobs=given["jobs"])
    with interruptible(), Session(read_settings(os.environ)) as session, progress() as told:
        verdict = Verifying(session, options, told).run(repair=repair)
    click.echo(_json(verdict) if as_json else verdict_text(verdict))
    if not verdict.equal:
        sys.exit(1)


@click.command("sign")
@click.argument("file")
@click.option("--private-key", type=click.Path(path_type=Path), required=True,
              help="A file with an Ed25519 private key in PEM.")  # fmt: skip
@click.option("--list", "lists", multiple=True, help="The lists; else those that the rows name.")
@click.option("--as-of", type=TimeText(), help="What time the file speaks for; else now.")
@click.option("--format", "form", type=click.Choice(get_args(Format)), default="auto")
@click.option("--encoding", default="utf-8", show_default=True, help="Or gb18030.")
@click.option("--json", "as_json", is_flag=True, help="Print the manifest.")
def sign_command(*, file: str, private_key: Path, as_json: bool, **given: Any) -> None:  # noqa: ANN401 -- click's
    """Write the file's manifest and its signature."""
    signing = Signing(
        file, private_key, given["lists"], given["as_of"], given["form"], given["encoding"]
    )
    settings = read_settings(os.environ)
    manifest = sign(signing, load_lists(settings.lists_file), time.time_ns() // 1_000_000)
    text = f"signed: {manifest.rows:,} rows of {', '.join(manifest.lists or ())}"
    click.echo(_json(manifest) if as_json else f"{text}, as of {manifest.as_of}")


@click.command("generate")
@click.option("--people", type=click.IntRange(1), required=True)
@click.option("--entries", type=click.IntRange(1), required=True)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True,
              help="The list: JSON Lines if .jsonl, else CSV; .gz packs it.")  # fmt: skip
@click.option("--shape", type=click.Choice(get_args(Shape)), default="party", show_default=True,
              help="How its rows are written.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
@click.option("--changes", type=click.IntRange(0), default=0, show_default=True)
@click.option("--changes-out", type=click.Path(dir_okay=False, path_type=Path),
              help="Changes to the list's entries, for `push`.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print figures as JSON.")
def generate_command(*, out: Path, changes_out: Path | None, as_json: bool, **recipe: Any) -> None:  # noqa: ANN401 -- click's
    """Write a list of people who do not exist, always the same for a seed.

    A manifest beside it names its lists.
    """
    made = Recipe(**recipe)
    try:
        with progress() as told:
            summary = generate(
                made, out, changes_out, lambda rows: told("writing", rows, made.entries)
            )
        manifest = msgspec.json.encode(Manifest(lists=summary.lists))
        manifest_path(str(out)).write_bytes(manifest + b"\n")
    except ValueError as exc:
        raise click.UsageError(str(exc)) from exc
    except OSError as exc:
        raise click.ClickException(f"{out}: {exc.strerror}") from exc
    text = f"{summary.entries:,} entries of {summary.people:,} people; load them with"
    click.echo(_json(summary) if as_json else f"{text} --as-of {summary.as_of}")


def _json(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
