"""What each list forbids, and which places there are to forbid."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import Literal, NamedTuple

import msgspec

from roster.records.entry import RESTRICTING_BELOW

Mode = Literal["air", "rail", "ship"]
Effect = Literal["forbidden", "allowed", "unknown"]

MODES: tuple[Mode, ...] = ("air", "rail", "ship")


class Place(NamedTuple):
    """One kind of place that is sold: a seat code on a class of trains, a cabin, a flight.

    `train` is the id of a class of trains. What the file does not know is no error:
    `ListRule.effect` calls it unknown.
    """

    mode: Mode
    train: str = ""
    seat: str = ""


class TrainClass(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Trains that one rule treats alike; the letter "" is a number without a letter."""

    id: str
    letters: tuple[str, ...]
    shown: tuple[str, ...] = ()
    usual: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """What answers call these trains."""
        return self.shown or self.letters


class SeatRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One row of a seat table: what holds for these seats on these trains, by which article."""

    trains: tuple[str, ...]
    seats: tuple[str, ...]
    rule: Effect
    law: str


class ListRule(msgspec.Struct, frozen=True, eq=False):
    """One list: what it is called, where to ask, and what it forbids.

    `rhythm_days` after its last full file it counts as old, 0: never. `whole` are the modes that it
    forbids wholly. `cells` give each seat or cabin of the other modes that it touches its effect.
    What is in neither is free.
    """

    id: str
    code: int
    title: str
    law: str
    contact: str
    lifted_by_default: bool = False
    rhythm_days: int = 0
    whole: frozenset[Mode] = frozenset()
    cells: dict[Mode, dict[Place, Effect]] = {}

    @property
    def restricts(self) -> bool:
        """Whether its entries forbid anything; the others are Clearway's own."""
        return self.code < RESTRICTING_BELOW

    def effect(self, place: Place) -> Effect:
        """What an entry of this list makes of `place`."""
        if place.mode in self.whole:
            return "forbidden"
        cells = self.cells.get(place.mode)
        return "allowed" if cells is None else cells.get(place, "unknown")


class Lists(msgspec.Struct, frozen=True, eq=False):
    """All lists, and the places that exist; `all` and the dictionaries keep the file's order.

    Equal only to itself, as are its rules, so that answers can be cached by them.
    """

    all: tuple[ListRule, ...]
    trains: tuple[TrainClass, ...]
    seats: dict[str, str]
    cabins: dict[str, str]
    aliases: dict[str, str]
    codes: dict[int, ListRule]
    ids: dict[str, ListRule]
    letters: dict[str, str]

    def by_code(self, code: int) -> ListRule | None:
        """The list that the roster stores as `code`."""
        return self.codes.get(code)

    def by_id(self, name: str) -> ListRule | None:
        """The list called `name`."""
        return self.ids.get(name)

    def name(self, code: int) -> str:
        """What to call the list that the roster stores as `code`, known or not."""
        rule = self.codes.get(code)
        return f"#{code}" if rule is None else rule.id

    @property
    def restricting(self) -> tuple[ListRule, ...]:
        """The lists that forbid something."""
        return tuple(rule for rule in self.all if rule.restricts)

    @property
    def lifted_by_default(self) -> tuple[str, ...]:
        """The lists that a lift lifts when it names none."""
        return tuple(rule.id for rule in self.all if rule.lifted_by_default)

    def rail(self, train: str, seat: str) -> Place:
        """Where seat code `seat` on train number `train` belongs."""
        train, seat = _fold(train), _fold(seat)
        letter = train[:1] if train[:1].isalpha() else ""
        return Place("rail", self.letters.get(letter, ""), self.aliases.get(seat, seat))

    def knows(self, train: str, seat: str) -> bool:
        """Whether the file has seat code `seat` and the letter of `train`, both in upper case."""
        letter = "" if train[:1].isdigit() else train[:1]
        return letter in self.letters and (seat in self.seats or seat in self.aliases)

    def places(self) -> Iterator[Place]:
        """Every place that the file knows, in its order."""
        yield Place("air")
        for train in self.trains:
            for seat in self.seats:
                yield Place("rail", train.id, seat)
        for cabin in self.cabins:
            yield Place("ship", seat=cabin)


def _fold(code: str) -> str:
    return unicodedata.normalize("NFKC", code).strip().upper()
