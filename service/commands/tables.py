"""Rows for people on a terminal, and for programs everywhere else, or JSON: never as markup."""

from __future__ import annotations

import json
import sys
import unicodedata
from typing import TYPE_CHECKING

import click
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from roster.speech.language import say
from roster.times import in_beijing
from service.commands.texts import COLUMNS, NO, YES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

FIGURES = ("figure", "value")
"""The columns of a table that is names and values: a row of it is one line, however narrow."""
_CONTROL = frozenset({"Cc", "Zl", "Zp"})


def print_rows(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str = "", err: bool = False
) -> None:
    """Print rows: on a terminal as a table, else one a line with tabs between the values.

    Nothing is ever shortened, nor broken in two: a table that is wider than the terminal is shown
    line by line, a value each. Brackets are brackets. Control characters become their escapes
    in JSON, so that a row is a line and a value stays in its place.
    """
    shown = [[_shown(value) for value in row] for row in rows]
    if not is_terminal(err=err):
        for line in ([title] if title else []) + ["\t".join(row) for row in shown]:
            click.echo(line, err=err)
        return
    names = [say(COLUMNS[each]) if each in COLUMNS else each for each in columns]
    table = Table(title=title or None)
    for name in names:
        table.add_column(name, no_wrap=True)
    for row in shown:
        table.add_row(*map(Text, row))
    console = Console(stderr=err)
    if _width(console, table) <= console.width:
        console.print(table)
    elif tuple(columns) == FIGURES:
        for line in _line_by_line([row[0] for row in shown], [[row[1] for row in shown]], title):
            click.echo(line, err=err)
    else:
        for line in _line_by_line(names, shown, title):
            click.echo(line, err=err)


def print_json(content: object) -> None:
    """Print JSON for programs."""
    click.echo(json.dumps(content, ensure_ascii=False))


def is_terminal(*, err: bool = False) -> bool:
    """Whether a person looks at what is printed."""
    return (sys.stderr if err else sys.stdout).isatty()


def clock(text: str | None) -> str:
    """A time of the API as people are told it: in Beijing, with the offset; empty for none."""
    return in_beijing(text) if text else ""


def _width(console: Console, table: Table) -> int:
    """How many columns of the terminal the table takes with nothing shortened."""
    wide = console.options.update(width=1 << 20)
    return console.measure(table, options=wide).maximum


def _line_by_line(names: Sequence[str], rows: Iterable[Sequence[str]], title: str) -> list[str]:
    """Every value on a line of its own, which the terminal may wrap and still copies whole."""
    wide = max(map(cell_len, names), default=0)
    lines = [title] if title else []
    for row in rows:
        lines += [""] if lines else []
        cells = zip(names, row, strict=True)
        lines += [
            f"{name}{' ' * (wide - cell_len(name))}  {value}".rstrip() for name, value in cells
        ]
    return lines


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return (say(YES) if value else say(NO)) if is_terminal() else str(value)
    text = "" if value is None else str(value)
    if text.isprintable():
        return text
    return "".join(json.dumps(c)[1:-1] if unicodedata.category(c) in _CONTROL else c for c in text)
