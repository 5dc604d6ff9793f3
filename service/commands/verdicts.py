"""The answer to one check, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from roster.speech.language import say
from service.commands.tables import clock, is_terminal
from service.commands.texts import (
    COLUMNS,
    DECISIONS,
    INSTEAD,
    MODES,
    OTHER_TRAINS,
    TRAINS,
    TRAINS_BUT,
    WARNING,
    said,
)
from service.commands.titles import titled

if TYPE_CHECKING:
    from collections.abc import Iterator

_TIMES = ("from", "until")


def verdict_lines(answer: dict[str, Any]) -> Iterator[str]:
    """The decision, then what it rests on, what is still allowed, and what is odd, indented."""
    yield said(DECISIONS, answer["decision"])
    for seat, decision in (answer.get("seats") or {}).items():
        yield f"  {seat}: {said(DECISIONS, decision)}"
    for reason in answer["reasons"]:
        yield "  " + "  ".join(_reason(reason))
    for product in answer["allowed_instead"]:
        yield "  " + say(INSTEAD, product=product_text(product))
    for code in answer.get("warnings", ()):
        yield "  " + say(WARNING, code=code)


def product_text(product: dict[str, Any]) -> str:
    """What is still allowed, for people."""
    mode = said(MODES, product["mode"])
    trains, seats = product.get("trains"), " ".join(product.get("seats", ()))
    if trains == ["*"] and (but := " ".join(product.get("except_trains", ()))):
        return f"{mode} {say(TRAINS_BUT, trains=but, seats=seats)}"
    if trains == ["*"]:  # of an older version, or no letter has a rule of its own
        return f"{mode} {say(OTHER_TRAINS, seats=seats)}"
    if trains:
        return f"{mode} {say(TRAINS, trains=' '.join(trains), seats=seats)}"
    return " ".join([mode, *product.get("cabins", ())])


def _reason(reason: dict[str, Any]) -> Iterator[str]:
    for name, value in reason.items():
        if name == "list" and is_terminal():
            yield titled(value)
        elif name in _TIMES and value:
            yield f"{say(COLUMNS[name])} {clock(value)}"
        elif value:
            yield str(value)
