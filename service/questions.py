"""Requests turned into what the rules are asked: documents, journeys, times, positions."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

import msgspec

from roster.errors import InvalidInput, PositionError
from roster.position import from_text
from roster.times import parse_time
from roster.verdict import Journey

if TYPE_CHECKING:
    from roster.identity import Document
    from roster.position import Position
    from service.shapes import AtLeast, JourneyShape

AT_LEAST_MAX = 16
_TRAIN = re.compile(r"[A-Z]?[0-9]{1,5}")
_SEAT = re.compile(r"[0-9A-Z]{1,2}")
_TAKES = {"air": (), "rail": ("train", "seat"), "ship": ("cabin",)}


class Query(msgspec.Struct, frozen=True):
    """One check, ready to be decided.

    `at_least` is by partition; `several_seats` where seats were sent as a list.
    """

    document: Document
    journey: Journey
    name: str | None = None
    at_least: dict[int, Position] = {}
    reference: str | None = None
    several_seats: bool = False


def read_journey(shape: JourneyShape) -> Journey:
    """The journey; raises InvalidInput where a field is missing, malformed or out of place."""
    takes = _TAKES[shape.mode]
    for field in ("train", "seat", "cabin"):
        given = getattr(shape, field) is not None
        if given and field not in takes:
            raise InvalidInput(f"journey.{field}", f"does not go with mode {shape.mode}")
        if not given and field in takes:
            raise InvalidInput(f"journey.{field}", f"required for mode {shape.mode}")
    return Journey(
        mode=shape.mode,
        train=_train(shape.train) if shape.train is not None else None,
        seats=_seats(shape.seat),
        cabin=shape.cabin,
        departs_at_ms=read_time("journey.departs_at", shape.departs_at),
    )


def read_time(field: str, text: str | None) -> int | None:
    """The time in ms since 1970, or None; raises InvalidInput that names `field`."""
    if text is None:
        return None
    try:
        return parse_time(text)
    except ValueError as exc:
        raise InvalidInput(field, str(exc)) from exc


def read_at_least(at_least: AtLeast | None) -> dict[int, Position]:
    """The newest position asked for in each partition; raises InvalidInput."""
    newest: dict[int, Position] = {}
    texts = [at_least] if isinstance(at_least, str) else at_least or []
    for text in texts:
        try:
            positions = from_text(text)
        except PositionError as exc:
            raise InvalidInput("at_least", str(exc)) from exc
        for position in positions:
            known = newest.get(position.partition)
            if known is None or position.includes(known):
                newest[position.partition] = position
    return newest


def _folded(text: str) -> str:
    return (
        text if text.isascii() and text.isupper() else unicodedata.normalize("NFKC", text).upper()
    )


def _train(text: str) -> str:
    train = _folded(text)
    if not _TRAIN.fullmatch(train):
        raise InvalidInput("journey.train", "not a train number: a letter or none, 1 to 5 digits")
    return train


def _seats(seat: str | list[str] | None) -> tuple[str, ...]:
    if seat is None:
        return ()
    seats = dict.fromkeys(_folded(each) for each in ([seat] if isinstance(seat, str) else seat))
    if not all(_SEAT.fullmatch(each) for each in seats):
        raise InvalidInput("journey.seat", "not a seat code: one or two letters or digits")
    return tuple("W" if each == "WZ" else each for each in seats)
