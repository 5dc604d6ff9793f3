"""Requests turned into what the rules are asked: documents, journeys, times, positions."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Protocol

import msgspec

from roster.documents.identity import normalise
from roster.errors import InvalidBody, InvalidInput, PositionError
from roster.records.cursor import from_text
from roster.records.position import NO_MARK
from roster.rules.verdict import Journey
from roster.times import beijing_day, now_ms, read_time
from service.web.faults import gathered
from service.web.shapes import TAKES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from roster.documents.identity import Document
    from roster.records.position import Position
    from roster.rules.restrictions import Mode
    from service.web.shapes import AtLeast, Check, Item, JourneyShape

Seats = str | tuple[str, ...] | None
_TRAIN = re.compile(r"[A-Z]?[0-9]{1,5}")
_SEAT = re.compile(r"[0-9A-Z]{1,2}")


class Defaults(Protocol):
    """What a batch says for all of its items."""

    @property
    def journey(self) -> JourneyShape | None:
        """Of items without one."""

    @property
    def at_least(self) -> AtLeast | None:
        """Of items that state none."""


class Query(msgspec.Struct, frozen=True, gc=False):
    """One check, ready to be decided.

    `at_least` is by partition; `several_seats` where seats were sent as a list.
    """

    document: Document
    journey: Journey
    name: str | None = None
    at_least: Mapping[int, Position] = {}
    reference: str | None = None
    several_seats: bool = False


def query_of(shape: Check | Item, defaults: Defaults | None = None) -> Query:
    """The query of a request, with what a batch says for all; raises InvalidBody."""
    try:
        return _query(shape, defaults)
    except InvalidInput:
        raise InvalidBody(list(query_faults(shape, defaults))) from None


def _query(shape: Check | Item, defaults: Defaults | None) -> Query:
    journey, at_least = shape.journey, shape.at_least
    if defaults is not None:
        journey = journey or defaults.journey
        at_least = defaults.at_least if at_least is None else at_least
    if journey is None:
        raise InvalidInput("journey", "required here or in the batch")
    return Query(
        document=shape.document,
        journey=read_journey(journey),
        name=shape.name,
        at_least=read_at_least(at_least) if at_least else {},
        reference=shape.reference,
        several_seats=isinstance(journey.seat, tuple),
    )


def query_faults(
    shape: Check | Item, defaults: Defaults | None = None
) -> Iterator[tuple[str, str]]:
    """All that is wrong, each a field and a reason, also where the document is not there."""
    today = beijing_day(now_ms())
    journey = shape.journey or (defaults.journey if defaults else None)
    at_least = shape.at_least or (defaults.at_least if defaults else None)
    tries: list[Callable[[], object]] = []
    if shape.document is not None:
        tries.append(lambda: normalise(shape.document, today))
    if journey is None:
        yield "journey", "required here or in the batch"
    else:
        tries += _journey_tries(journey)
    tries.append(lambda: read_at_least(at_least))
    yield from gathered(tries)


def _journey_tries(shape: JourneyShape) -> list[Callable[[], object]]:
    """The journey's parts, each to be read by itself."""
    given = _given(shape)
    tries: list[Callable[[], object]] = [
        partial(_check_taken, shape.mode, field, value) for field, value in given.items()
    ]
    if shape.mode == "rail" and shape.train is not None:
        tries.append(partial(_train, shape.train))
    if shape.mode == "rail":
        tries.append(lambda: _seats(given["seat"]))
    tries.append(lambda: read_time("journey.departs_at", shape.departs_at))
    return tries


@lru_cache(maxsize=16_384)  # there are far fewer trains and seats than travellers
def read_journey(shape: JourneyShape) -> Journey:
    """The journey; raises InvalidInput where a field is missing, malformed or out of place."""
    for field, value in _given(shape).items():
        _check_taken(shape.mode, field, value)
    return Journey(
        mode=shape.mode,
        train=None if shape.train is None else _train(shape.train),
        seats=_seats(shape.seat),
        cabin=shape.cabin,
        departs_at_ms=read_time("journey.departs_at", shape.departs_at),
    )


def _given(shape: JourneyShape) -> dict[str, Seats]:
    return {"train": shape.train, "seat": shape.seat, "cabin": shape.cabin}


def _check_taken(mode: Mode, field: str, value: Seats) -> None:
    """Refuse what does not go with the mode, and ask for what does."""
    if value is not None and field not in TAKES[mode]:
        raise InvalidInput(f"journey.{field}", f"does not go with mode {mode}")
    if value is None and field in TAKES[mode]:
        raise InvalidInput(f"journey.{field}", f"required for mode {mode}")


def read_at_least(at_least: AtLeast | None) -> Mapping[int, Position]:
    """The newest position asked for in each partition; raises InvalidInput."""
    return _newest((at_least,) if isinstance(at_least, str) else tuple(at_least or ()))


@lru_cache(maxsize=128)  # what a batch says for all is read for each of its items
def _newest(texts: tuple[str, ...]) -> Mapping[int, Position]:
    newest: dict[int, Position] = {}
    for text in texts:
        try:
            positions = from_text(text)
        except PositionError as exc:
            raise InvalidInput("at_least", str(exc)) from exc
        for position in filter(_is_known, positions):
            known = newest.get(position.partition)
            if known is None or position.includes(known):
                newest[position.partition] = position
    return newest


def _is_known(position: Position) -> bool:
    """Whether it names a change: one just before the oldest that the log has is reached anyway."""
    return position.mark != NO_MARK or not position.seq


def _folded(text: str) -> str:
    return (
        text if text.isascii() and text.isupper() else unicodedata.normalize("NFKC", text).upper()
    )


def _train(text: str) -> str:
    train = _folded(text)
    if not _TRAIN.fullmatch(train):
        raise InvalidInput("journey.train", "not a train number: a letter or none, 1 to 5 digits")
    return train


def _seats(seat: Seats) -> tuple[str, ...]:
    if seat is None:
        return ()
    seats = dict.fromkeys(_folded(each) for each in ((seat,) if isinstance(seat, str) else seat))
    if not all(_SEAT.fullmatch(each) for each in seats):
        raise InvalidInput("journey.seat", "not a seat code: one or two letters or digits")
    return tuple("W" if each == "WZ" else each for each in seats)
