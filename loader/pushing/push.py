"""The command that sends changes from a file to the service."""

from __future__ import annotations

import codecs
import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import click
import msgspec
from rich.console import Console
from rich.progress import Progress

from loader.files.foreign import check_unpacked
from loader.pushing.client import TIMEOUT_S, LineOutcome, Pusher
from loader.words.figures import DOING, PUSHED_LINE, PUSHED_NONE
from loader.words.sayings import SAYINGS
from roster.address import address_of, checked_url, open_client
from roster.errors import LoadRefused, PushRefused
from roster.settings import read_settings
from roster.speech.helps import SpokenCommand
from roster.speech.language import in_language, say

DOUBTFUL = frozenset({"superseded", "unseen", "rejected"})


def _url(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    try:
        return value if value is None else checked_url(value)
    except ValueError as exc:
        raise click.BadParameter(SAYINGS.spoken(str(exc))) from None


@click.command(cls=SpokenCommand)
@in_language
@click.argument("file", type=click.File("rb"))
@click.option("--url", callback=_url, help="The service; default: CLEARWAY_URL, or this machine.")
@click.option(
    "--key-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file with the API key; default: CLEARWAY_API_KEY.",
)
@click.option("--json", "as_json", is_flag=True, help="Figures and doubtful lines as JSON.")
def push(file: IO[bytes], url: str | None, key_file: Path | None, *, as_json: bool) -> None:
    """Send changes, one JSON object a line; FILE may be - for standard input.

    Status 1 when a change was superseded, unseen or rejected: each is named by its line.
    What was acknowledged stays, also where a later batch fails; the same file may be pushed
    again.
    """
    counts: Counter[str] = Counter()
    doubtful: list[LineOutcome] = []
    with open_client(address_of(read_settings(os.environ), url, key_file), TIMEOUT_S) as client:
        try:
            for outcome in _shown(Pusher(client), file):
                counts[outcome.outcome] += 1
                if outcome.outcome in DOUBTFUL:
                    doubtful.append(outcome)
        except BaseException:
            if counts or as_json:  # nothing acknowledged is not an empty file
                _report(counts, doubtful, as_json=as_json)
            raise
    _report(counts, doubtful, as_json=as_json)
    if doubtful:
        raise click.exceptions.Exit(1)


def _looked_at(file: IO[bytes]) -> Iterator[bytes]:
    """The file's lines; raises PushRefused where the first is of a list, or of no text at all."""
    before = []
    for line in file:
        before.append(line)
        if line.strip(codecs.BOM_UTF8 + b" \t\r\n"):
            _check_first(line.removeprefix(codecs.BOM_UTF8))
            break
    yield from before
    yield from file


def _check_first(line: bytes) -> None:
    try:
        check_unpacked(line)
        row = msgspec.json.decode(line)
    except LoadRefused as exc:
        raise PushRefused(f"{exc}; changes come as JSON Lines, not packed") from exc
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        row = dict.fromkeys(
            line.decode(errors="replace").strip().replace('"', "").lower().split(",")
        )
    if isinstance(row, list):
        raise PushRefused("the file is a JSON array: changes come one JSON object a line")
    keys = {key.lower() for key in row} if isinstance(row, dict) else set()
    if "op" not in keys and keys & {"document_type", "document_number"}:
        raise PushRefused(
            "the file holds the rows of a list, not changes: `clearway load FILE` brings them in"
        )


def _shown(pusher: Pusher, file: IO[bytes]) -> Iterator[LineOutcome]:
    """The outcomes as they come, with a bar for them on a terminal."""
    with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task(say(DOING["pushing"]), total=None)
        for outcome in pusher.push(_looked_at(file)):
            progress.advance(task)
            yield outcome


def _report(counts: Counter[str], doubtful: list[LineOutcome], *, as_json: bool) -> None:
    if as_json:
        lines = [outcome._asdict() for outcome in doubtful]
        click.echo(msgspec.json.encode({"outcomes": dict(counts), "lines": lines}).decode())
        return
    for outcome in doubtful:
        told = "; ".join(f"{field}: {message}" for field, message in outcome.errors)
        values = {"line": outcome.line, "outcome": outcome.outcome}
        click.echo(say(PUSHED_LINE, errors=SAYINGS.spoken(told), **values).rstrip())
    counted = ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()))
    click.echo(counted or say(PUSHED_NONE))
