"""The number of a document as a person types it: read or asked for, shown again, and doubted."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click
import msgspec

from roster.documents.doubts import doubt_of
from roster.documents.identity import Document
from roster.documents.spelling import fold
from roster.errors import InvalidInput
from roster.speech.language import say
from roster.speech.seen import seen
from roster.times import beijing_day, now_ms
from service.commands.desk_texts import (
    ASK_NUMBER,
    CHECK_DIGIT,
    NO_DIGIT,
    NO_SUCH_NUMBER,
    NOT_TEXT,
    NUMBER,
    NUMBER_ARGUMENT,
    RESIDENT_NUMBER,
    TOO_SHORT_OR_LONG,
)
from service.commands.tables import is_terminal
from service.commands.terminal import read_line

if TYPE_CHECKING:
    from collections.abc import Sequence

_GROUPS = {18: (6, 4, 4, 4), 15: (6, 6, 3)}
"""As an ID card's parts are: where it was issued, the birth, the rest."""
_GROUP = 4
_DOUBTS = {
    "length": TOO_SHORT_OR_LONG,
    "letter": NO_DIGIT,
    "check_digit": CHECK_DIGIT,
    "shape": NO_SUCH_NUMBER,
    "resident_number": RESIDENT_NUMBER,
}


def number_option(_context: click.Context, _option: click.Parameter, value: str) -> str:
    """The number from standard input, or asked for: arguments are seen by everybody."""
    if value != "-":
        raise click.BadParameter(say(NUMBER_ARGUMENT))
    if sys.stdin.isatty():
        return _asked()
    try:
        return read_line()
    except InvalidInput as exc:
        raise click.BadParameter(exc.message) from None


def in_groups(number: str) -> str:
    """The number as it was understood, in groups that an eye can compare.

    For the terminal alone at which it was typed: everywhere else it is masked.
    """
    plain = fold(number)
    shown = plain if is_terminal(err=True) else "*" * len(plain)
    return " ".join(_cut(shown, _GROUPS.get(len(plain), ())))


def doubt(document: dict[str, Any]) -> str | None:
    """Why the number can be no such document's; None where it can, or nobody can say.

    Never holds the number: at most the one check digit that it has not.
    """
    try:
        found = doubt_of(msgspec.convert(document, Document), beijing_day(now_ms()))
    except (InvalidInput, msgspec.ValidationError):
        return None
    return say(_DOUBTS[found.code], **msgspec.structs.asdict(found)) if found else None


def _cut(text: str, sizes: Sequence[int]) -> list[str]:
    """The text in pieces of these sizes, the rest in equal ones."""
    pieces, at = [], 0
    for size in sizes:
        pieces.append(text[at : at + size])
        at += size
    return pieces + [text[each : each + _GROUP] for each in range(at, len(text), _GROUP)]


def _asked() -> str:
    try:
        with seen():
            asked: str = click.prompt(say(ASK_NUMBER), hide_input=True, err=True)
        asked.encode()  # what was no text may come as halves of characters
    except UnicodeError:
        raise click.BadParameter(say(NOT_TEXT)) from None
    number = asked.strip()
    with seen():
        click.echo(f"{say(NUMBER)}  {in_groups(number)}", err=True)  # it was typed unseen
    return number
