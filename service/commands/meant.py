"""Which entry a change by hand means: looked for before anything is changed."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from roster.documents.spelling import trimmed
from roster.speech.language import say
from service.commands.caller import RefusedCall
from service.commands.desk_texts import ALSO, NO_SUCH_ENTRY, NOT_LOOKED, UNDECIDED
from service.commands.shown import already, named, nothing_found, show_entries
from service.commands.texts import STATES, said

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.commands.caller import Caller
    from service.commands.shown import ShownEntry

_MEANT = {
    "remove": {"active", "suspended", "absent"},
    "suspend": {"active"},
    "resume": {"suspended"},
    "reinstate": {"removed"},
}
"""Which entries each command may mean where nobody says which."""
_DONE = {
    "remove": {"removed"},
    "suspend": {"removed", "suspended"},
    "resume": set[str](),
    "reinstate": {"active", "suspended"},
}
"""Those that may be meant as well, and are as they should be: sent twice, a command that names none
would else take another entry the second time."""
SETTLED = {
    "remove": {"removed"},
    "suspend": {"removed"},
    "resume": {"removed"},
    "reinstate": {"active", "suspended", "absent"},
}
"""Those that stay as they are, whoever names them."""


class Meant(NamedTuple):
    """The entry that is meant, and the person's others; None where nobody could look."""

    entry: ShownEntry
    others: list[ShownEntry] | None


class Person(NamedTuple):
    """Whose entry is meant: the document, and the name where it was said."""

    document: dict[str, Any]
    name: str | None


def meant(caller: Caller, op: str, person: Person, wanted: dict[str, Any]) -> Meant:
    """The entry to change, as it stands: the one that was named, or the only one that it can be.

    `wanted` has `list` and `entry_id`, None where nobody said. Raises click's error, with the
    entries there are on standard error, where there is not exactly one: nothing is changed then.
    """
    try:
        answer = caller.find(*person)
    except RefusedCall as exc:
        if exc.status != HTTPStatus.FORBIDDEN or not all(wanted.values()):
            raise
        click.echo(say(NOT_LOOKED), err=True)
        return Meant(wanted, None)
    entries = answer["entries"]
    if not entries:
        raise click.ClickException(nothing_found(answer, person.document))
    found = _only(op, entries, wanted)
    return Meant(found, [each for each in entries if each is not found])


def _only(op: str, entries: Sequence[ShownEntry], wanted: dict[str, Any]) -> ShownEntry:
    matching = [each for each in entries if _matches(each, wanted)]
    named_one = wanted["entry_id"] is not None
    found = [each for each in matching if named_one or each["state"] in _MEANT[op]]
    done = [] if named_one else [each for each in matching if each["state"] in _DONE[op]]
    if len(found) == 1 and not done:
        return found[0]
    if not matching:
        show_entries(entries, err=True)
        raise click.ClickException(say(NO_SUCH_ENTRY))
    if len(matching) == 1 and matching[0]["state"] in SETTLED[op]:
        raise click.ClickException(already(matching[0]))
    show_entries(matching, err=True)
    if found and done:
        raise click.ClickException("; ".join([*map(already, done), *_also(found)]))
    raise click.ClickException(say(UNDECIDED, op=op))


def _also(found: Sequence[ShownEntry]) -> list[str]:
    """Those that a command may mean beside what is done already, by their states."""
    by_state: dict[str, list[ShownEntry]] = {}
    for each in found:
        by_state.setdefault(each["state"], []).append(each)
    return [
        say(ALSO, state=said(STATES, state), entries=named(each))
        for state, each in by_state.items()
    ]


def _matches(entry: ShownEntry, wanted: dict[str, Any]) -> bool:
    return all(
        value is None or trimmed(value) == trimmed(entry[name]) for name, value in wanted.items()
    )
