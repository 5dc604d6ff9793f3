"""Rows for people on a terminal, and for programs everywhere else, or JSON: never as markup."""

from __future__ import annotations

import json
import sys
import unicodedata
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_CONTROL = frozenset({"Cc", "Zl", "Zp"})


def print_rows(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str = "", err: bool = False
) -> None:
    """Print rows: as a table on a terminal, else one a line with tabs between the values.

    Nothing is ever shortened, and brackets are brackets. Control characters become their escapes
    in JSON, so that a row is a line and a value stays in its place.
    """
    shown = [[_shown(value) for value in row] for row in rows]
    if not (sys.stderr if err else sys.stdout).isatty():
        for line in ([title] if title else []) + ["\t".join(row) for row in shown]:
            click.echo(line, err=err)
        return
    table = Table(title=title or None)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in shown:
        table.add_row(*map(Text, row))
    Console(stderr=err).print(table)


def print_json(content: object) -> None:
    """Print JSON for programs."""
    click.echo(json.dumps(content, ensure_ascii=False))


def _shown(value: object) -> str:
    text = "" if value is None else str(value)
    if text.isprintable():
        return text
    return "".join(json.dumps(c)[1:-1] if unicodedata.category(c) in _CONTROL else c for c in text)
