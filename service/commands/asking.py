"""What a change by hand asks for: the reason, and a yes to what was shown before."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from roster.speech.language import say
from roster.speech.seen import seen
from service.commands.desk_texts import ASK_REASON, COMES_BACK, CONFIRM, REASONS, WAS
from service.commands.shown import show_entries
from service.commands.texts import said

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from service.commands.shown import ShownEntry


class SpokenReason(click.Choice[str]):
    """A reason by its code, or as it is called in either language."""

    def convert(
        self,
        value: Any,  # noqa: ANN401 -- click's
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> str:
        """The reason's code; click's BadParameter where there is no such reason."""
        called = {text: code for code in self.choices for text in REASONS[code]}
        return super().convert(called.get(value.strip(), value), param, ctx)


def show_meant(entry: ShownEntry, past: Callable[[], Sequence[dict[str, Any]]]) -> None:
    """Show what is to be changed where somebody types; of what is removed, what it was before."""
    if not sys.stdin.isatty() or "state" not in entry:
        return
    with seen():
        show_entries([entry], err=True)
        if entry["state"] == "absent":
            click.echo(say(COMES_BACK), err=True)
        if entry["state"] == "removed" and (was := _state_before(past())) in WAS:
            click.echo(say(WAS[was]), err=True)


def asked_reason(reason: str | None, reasons: Sequence[str]) -> str | None:
    """The reason as it was given; asked for where somebody types who has not said it."""
    if reason is not None or not sys.stdin.isatty():
        return reason
    with seen():
        for code in reasons:
            click.echo(f"  {code:<17} {said(REASONS, code)}", err=True)
        asked: str = click.prompt(
            say(ASK_REASON), type=SpokenReason(reasons), show_choices=False, err=True
        )
    return asked


def confirm(op: str) -> None:
    """Ask where somebody types; click's Abort for a no."""
    if sys.stdin.isatty():
        with seen():
            click.confirm(say(CONFIRM[op]), abort=True, err=True)


def _state_before(past: Sequence[dict[str, Any]]) -> str:
    """What an entry was before it was removed; nothing where its history does not say."""
    states = [each["state"] for each in past if each["state"] != "removed"]
    return states[-1] if states else ""
