"""Entries as the desk shows them to people, none of which names a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from roster.speech.language import say
from roster.times import now_ms, parse_time
from service.commands.desk_texts import (
    ALREADY,
    BIND,
    BINDS,
    BOUND,
    COULD_BIND,
    NAME_CHECKS,
    NO_ENTRY,
    NO_ENTRY_LOADED,
    NO_ENTRY_ONE,
    NOTHING_BINDS,
    NOW_BIND,
    NOW_BINDS,
    REASONS,
)
from service.commands.numbers import doubt
from service.commands.tables import clock, is_terminal, print_rows
from service.commands.texts import STATES, said
from service.commands.titles import titled

if TYPE_CHECKING:
    from collections.abc import Sequence

ShownEntry: TypeAlias = "dict[str, Any]"
"""An entry as `/v1/entries/find` tells it."""

_OURS = frozenset({"lift", "bind"})
"""Lists that restrict nobody."""
COLUMNS = ("list", "entry_id", "state", "revision", "case", "court", "until", "applied_at")


def show_entries(entries: Sequence[ShownEntry], *, err: bool = False) -> None:
    """Print entries in rows."""
    people = is_terminal(err=err)
    asked = any("name_check" in each for each in entries)
    columns = (*COLUMNS, "name_check") if asked else COLUMNS

    def row(entry: ShownEntry) -> list[object]:
        shown = entry | {name: clock(entry.get(name)) for name in ("until", "applied_at")}
        if people:
            shown |= {"list": titled(entry["list"]), "state": said(STATES, entry["state"])}
            shown |= {"name_check": said(NAME_CHECKS, entry.get("name_check", ""))}
        return [shown.get(column) for column in columns]

    print_rows(columns, map(row, entries), err=err)


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


def what_binds(entries: Sequence[ShownEntry], *, also: bool = True) -> list[str]:
    """What is said of a person once one entry has changed: which of these bind them.

    `also`: beside that entry, which binds no more and is none of these.
    """
    listed = [each for each in entries if each["list"] not in _OURS and not _is_over(each)]
    binding = [each for each in listed if each["state"] == "active"]
    resting = [each for each in listed if each["state"] in {"suspended", "absent"}]
    one, several = (BINDS, BIND) if also else (NOW_BINDS, NOW_BIND)
    told = one if len(binding) == 1 else several if binding else NOTHING_BINDS
    lines = [say(told, count=len(binding), entries=named(binding))]
    if resting:
        lines.append(say(COULD_BIND, entries=named(resting)))
    if any(each["list"] == "bind" and each["state"] == "active" for each in entries):
        lines.append(say(BOUND))
    return lines


def _is_over(entry: ShownEntry) -> bool:
    until = entry.get("until")
    return until is not None and parse_time(until) <= now_ms()


def named(entries: Sequence[ShownEntry]) -> str:
    """Lists and ids of entries, with the court where one is known, in a line."""
    return "; ".join(
        f"{each['list']} {each['entry_id']} {each.get('court') or ''}".rstrip() for each in entries
    )
