"""Which entry a change by hand means: looked for first, and shown before it is changed."""

from __future__ import annotations

import sys
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import click

from roster.documents.spelling import trimmed
from service.commands.caller import RefusedCall
from service.commands.language import say
from service.commands.numbers import doubt, in_groups, is_typed
from service.commands.tables import clock, is_terminal, print_rows
from service.commands.texts import (
    ALREADY_REMOVED,
    ASK_REASON,
    CONFIRM,
    NO_ENTRY,
    NO_ENTRY_LOADED,
    NO_ENTRY_ONE,
    NO_SUCH_ENTRY,
    NOT_LOOKED,
    NUMBER,
    REASONS,
    STATES,
    UNDECIDED,
    said,
)
from service.commands.titles import titled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.commands.caller import Caller

    ShownEntry = dict[str, Any]

# Which entries each command may mean where nobody says which.
_MEANT = {
    "remove": {"active", "suspended"},
    "suspend": {"active"},
    "resume": {"suspended"},
}
_COLUMNS = ("list", "entry_id", "state", "revision", "case", "court", "until", "applied_at")


def meant(caller: Caller, op: str, document: dict[str, Any], wanted: dict[str, Any]) -> ShownEntry:
    """The entry to change, as it stands: the one that was named, or the only one that it can be.

    `wanted` has `list` and `entry_id`, None where nobody said. Raises click's error, with the
    entries there are on standard error, where there is not exactly one: nothing is changed then.
    """
    try:
        answer = caller.find(document)
    except RefusedCall as exc:
        if exc.status != HTTPStatus.FORBIDDEN or not all(wanted.values()):
            raise
        click.echo(say(NOT_LOOKED), err=True)
        return wanted
    entries = answer["entries"]
    matching = [each for each in entries if _matches(each, wanted)]
    found = [each for each in matching if wanted["entry_id"] or each["state"] in _MEANT[op]]
    if len(found) == 1:
        return dict(found[0])
    if not entries:
        raise click.ClickException(nothing_found(answer, document))
    if not matching:
        show_entries(entries, err=True)
        raise click.ClickException(say(NO_SUCH_ENTRY))
    if len(matching) == 1 and matching[0]["state"] == "removed":
        raise click.ClickException(already_removed(matching[0]))
    show_entries(matching, err=True)
    raise click.ClickException(say(UNDECIDED, op=op))


def nothing_found(answer: dict[str, Any], document: dict[str, Any]) -> str:
    """What is said of a person without entries: in how many lists that is, and of the number."""
    loaded = answer.get("loaded")
    if loaded is None:  # an older service does not say
        none = say(NO_ENTRY)
    else:
        none = say(NO_ENTRY_ONE if len(loaded) == 1 else NO_ENTRY_LOADED, count=len(loaded))
    return "; ".join(filter(None, (none, doubt(document))))


def already_removed(entry: ShownEntry) -> str:
    """When an entry was removed, and why."""
    which = {name: entry[name] for name in ("list", "entry_id")}
    at = clock(entry.get("applied_at") or entry.get("received_at"))
    reason = f" ({said(REASONS, entry['reason'])})" if entry.get("reason") else ""
    return say(ALREADY_REMOVED, at=at, **which) + reason


def asked_reason(reason: str | None, reasons: Sequence[str]) -> str | None:
    """The reason as it was given; asked for where somebody types who has not said it."""
    if reason is not None or not is_typed():
        return reason
    for code in reasons:
        click.echo(f"  {code:<17} {said(REASONS, code)}", err=True)
    choice = click.Choice(reasons)
    asked: str = click.prompt(say(ASK_REASON), type=choice, show_choices=False, err=True)
    return asked


def confirm(op: str, number: str, entry: ShownEntry) -> None:
    """Show whose entry is to be changed where somebody types, and ask; click's Abort for a no."""
    if not sys.stdin.isatty():
        return
    click.echo(f"{say(NUMBER)}  {in_groups(number)}", err=True)
    if "state" in entry:
        show_entries([entry], err=True)
    if is_typed():
        click.confirm(say(CONFIRM[op]), abort=True, err=True)


def show_entries(entries: Sequence[ShownEntry], *, err: bool = False) -> None:
    """Print entries in rows, none of which names a person."""
    people = is_terminal(err=err)

    def row(entry: ShownEntry) -> list[object]:
        shown = entry | {name: clock(entry.get(name)) for name in ("until", "applied_at")}
        if people:
            shown |= {"list": titled(entry["list"]), "state": said(STATES, entry["state"])}
        return [shown.get(column) for column in _COLUMNS]

    print_rows(_COLUMNS, map(row, entries), err=err)


def _matches(entry: ShownEntry, wanted: dict[str, Any]) -> bool:
    return all(
        value is None or trimmed(value) == trimmed(entry[name]) for name, value in wanted.items()
    )
