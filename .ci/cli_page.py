"""Write `docs/cli.md`: what every command says of itself, its options and their defaults.

`make cli`, after a command has changed; `tests/test_cli_page.py` holds that it was done.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/cli.md"
HEAD = """\
# Commands

What `--help` says, on one page. Exit status, keys, languages and completion:
[api.md](api.md#commands). Written by `make cli`.
"""


def page() -> str:
    """The whole page, as the commands are now."""
    sys.path.insert(0, str(ROOT))
    from clearway import main  # noqa: PLC0415 -- run by path, this file finds it only now

    parts = [HEAD, *_told("clearway", main)]
    return "\n".join(parts)


def _told(name: str, command: click.Command) -> Iterator[str]:
    """One command, and those below it."""
    context = click.Context(command, info_name=name)
    if name != "clearway":
        yield f"## `{name}`\n"
    usage = " ".join([name, *command.collect_usage_pieces(context)])
    yield f"```\n{usage}\n```\n"
    yield from _paragraphs(command.help)
    yield from _options(context)
    yield from _paragraphs(command.epilog)
    if isinstance(command, click.Group):
        for each in command.list_commands(context):
            below = command.get_command(context, each)
            if below is not None and not below.hidden:
                yield from _told(f"{name} {each}", below)


def _paragraphs(text: str | None) -> Iterator[str]:
    """A help's paragraphs; those that click is told to leave alone stay as they are."""
    for part in re.split(r"\n{2,}", inspect.cleandoc(text or "").strip()):
        if part.startswith("\b"):
            yield f"```\n{part.removeprefix(chr(8)).strip()}\n```\n"
        elif part:
            yield f"{part}\n"


def _options(context: click.Context) -> Iterator[str]:
    records = [each.get_help_record(context) for each in context.command.get_params(context)]
    rows = [record for record in records if record and not record[0].endswith("--help")]
    if rows:
        told = (f"| `{_cell(option)}` | {_cell(what)} |" for option, what in rows)
        yield "\n".join(["| option | |", "| --- | --- |", *told, ""])


def _cell(text: str) -> str:
    """A text within a row of a table."""
    return text.replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
