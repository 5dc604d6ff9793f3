"""Entries as the desk shows them to people, none of which names a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from service.commands.desk_texts import (
    ALREADY,
    NO_ENTRY,
    NO_ENTRY_LOADED,
    NO_ENTRY_ONE,
    REASONS,
)
from service.commands.language import say
from service.commands.numbers import doubt
from service.commands.tables import clock, is_terminal, print_rows
from service.commands.texts import STATES, said
from service.commands.titles import titled

if TYPE_CHECKING:
    from collections.abc import Sequence

ShownEntry: TypeAlias = "dict[str, Any]"
"""An entry as `/v1/entries/find` tells it."""

COLUMNS = ("list", "entry_id", "state", "revision", "case", "court", "until", "applied_at")


def show_entries(entries: Sequence[ShownEntry], *, err: bool = False) -> None:
    """Print entries in rows."""
    people = is_terminal(err=err)

    def row(entry: ShownEntry) -> list[object]:
        shown = entry | {name: clock(entry.get(name)) for name in ("until", "applied_at")}
        if people:
            shown |= {"list": titled(entry["list"]), "state": said(STATES, entry["state"])}
        return [shown.get(column) for column in COLUMNS]

    print_rows(COLUMNS, map(row, entries), err=err)


def nothing_found(answer: dict[str, Any], document: dict[str, Any]) -> str:
    """What is said of a person without entries: of the number, and in how many lists that is."""
    loaded = answer.get("loaded")
    if loaded is None:  # an older service does not say
        none = say(NO_ENTRY)
    else:
        none = say(NO_ENTRY_ONE if len(loaded) == 1 else NO_ENTRY_LOADED, count=len(loaded))
    return "; ".join(filter(None, (doubt(document), none)))


def already(entry: ShownEntry) -> str:
    """When an entry was removed or suspended, and why."""
    which = {name: entry[name] for name in ("list", "entry_id")}
    at = clock(entry.get("applied_at") or entry.get("received_at"))
    reason = f" ({said(REASONS, entry['reason'])})" if entry.get("reason") else ""
    return say(ALREADY[entry["state"]], at=at, **which) + reason


def named(entries: Sequence[ShownEntry]) -> str:
    """Lists and ids of entries, with the court where one is known, in a line."""
    return "; ".join(
        f"{each['list']} {each['entry_id']} {each.get('court') or ''}".rstrip() for each in entries
    )
