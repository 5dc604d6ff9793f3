"""What a change by hand asks for: the reason, and a yes to what was shown before."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from roster.speech.language import say
from service.commands.desk_texts import ASK_REASON, COMES_BACK, CONFIRM, REASONS
from service.commands.numbers import is_typed
from service.commands.shown import show_entries
from service.commands.texts import said

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.commands.shown import ShownEntry


def show_meant(entry: ShownEntry) -> None:
    """Show what is to be changed where somebody types the number."""
    if not sys.stdin.isatty() or "state" not in entry:
        return
    show_entries([entry], err=True)
    if entry["state"] == "absent":
        click.echo(say(COMES_BACK), err=True)


def asked_reason(reason: str | None, reasons: Sequence[str]) -> str | None:
    """The reason as it was given; asked for where somebody types who has not said it."""
    if reason is not None or not is_typed():
        return reason
    for code in reasons:
        click.echo(f"  {code:<17} {said(REASONS, code)}", err=True)
    choice = click.Choice(reasons)
    asked: str = click.prompt(say(ASK_REASON), type=choice, show_choices=False, err=True)
    return asked


def confirm(op: str) -> None:
    """Ask where somebody types; click's Abort for a no."""
    if is_typed():
        click.confirm(say(CONFIRM[op]), abort=True, err=True)
