"""Which products are denied, referred and allowed where certain lists bear on a person."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from roster.rules.effects import Kind
from roster.rules.restrictions import MODES, Lists, Place, TrainClass
from roster.rules.verdict import SEVERITY, Decision, Product


@lru_cache(maxsize=1024)
def outcomes(lists: Lists, *kinds: frozenset[Kind]) -> dict[Decision, tuple[Product, ...]]:
    """Every product under its decision; `kinds` are what bears on each of `MODES`.

    There are few combinations of lists and many persons, so the answers are kept.
    """
    bearing = dict(zip(MODES, kinds, strict=True))
    decisions: dict[Place, Decision] = {
        place: max(
            (kind.decision(place) for kind in bearing[place.mode]),
            key=SEVERITY.__getitem__,
            default="allow",
        )
        for place in lists.places()
    }
    return {
        decision: _gather(
            lists, frozenset(p for p, given in decisions.items() if given == decision)
        )
        for decision in SEVERITY
    }


def _gather(lists: Lists, wanted: frozenset[Place]) -> tuple[Product, ...]:
    """The products that hold exactly the places that are `wanted`, in the order of the file.

    What is usually sold on a train comes first, the rest of its seats in a product after.
    """
    cabins = tuple(cabin for cabin in lists.cabins if Place("ship", seat=cabin) in wanted)
    return (
        *([Product("air")] if Place("air") in wanted else []),
        *_rail(lists, wanted),
        *([Product("ship", cabins=cabins)] if cabins else []),
    )


def _rail(lists: Lists, wanted: frozenset[Place]) -> Iterator[Product]:
    first: dict[tuple[str, ...], list[str]] = {}
    rest: dict[tuple[str, ...], list[str]] = {}
    for trains in lists.trains:
        seats = [seat for seat in lists.seats if Place("rail", trains.id, seat) in wanted]
        usual = _usual(trains, seats, lists)
        others = [seat for seat in seats if seat not in usual]
        first.setdefault(tuple(usual), []).extend(trains.names)
        rest.setdefault(tuple(others), []).extend(trains.names)
    for group in (first, rest):
        for group_seats, names in group.items():
            if group_seats:
                yield Product("rail", trains=tuple(names), seats=group_seats)


def _usual(trains: TrainClass, seats: list[str], lists: Lists) -> list[str]:
    """Which of `seats` to name first; all, where that is every seat."""
    if len(seats) == len(lists.seats):
        return seats
    return [seat for seat in seats if seat in trains.usual]
