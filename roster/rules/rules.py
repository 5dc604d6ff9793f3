"""Entries, a journey and the time make a verdict; nothing else does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache

from roster.records.entry import Entry
from roster.rules.effects import (
    EffectKind,
    EntryEffect,
    Ruling,
    applicable,
    effects_by_mode,
)
from roster.rules.restrictions import MODES, Lists, Mode, Place, TrainClass
from roster.rules.verdict import (
    SEVERITY,
    Asked,
    Decision,
    Journey,
    Product,
    Question,
    Reason,
    Verdict,
    Warned,
)

INVALID = Reason("document_invalid")
PRODUCT_UNKNOWN: tuple[Warned, ...] = ("product_unknown",)


def decide(entries: Sequence[Entry], question: Question, lists: Lists) -> Verdict:
    """The verdict on one journey of the person whose documents have these `entries`.

    `entries` are all that is known of the person, tombstones too.
    """
    journey = question.journey
    departs_at_ms, names = journey.departs_at_ms, question.names
    asked = Asked(question.now_ms, departs_at_ms, names, question.valid, question.disabled)
    person = applicable(entries, asked)
    name_check = None if asked.names is None else person.name_check
    if unheard_of(entries, asked):
        return Verdict("refer", (INVALID,), name_check=name_check)
    found = effects_by_mode(person, asked, lists)
    answers = [judge(found[journey.mode], place) for place in _places(journey, lists)]
    decisions = [strictest(each) for each in answers]
    decision = max(decisions, key=SEVERITY.__getitem__)
    return Verdict(
        decision=decision,
        reasons=_reasons(answers),
        allowed_instead=products(found, lists)["allow"] if decision == "deny" else (),
        name_check=name_check,
        seats=dict(zip(journey.seats, decisions, strict=True)) if journey.mode == "rail" else None,
    )


def warnings(journey: Journey, lists: Lists) -> tuple[Warned, ...]:
    """What the caller's developers should hear, whoever travels and however it is decided."""
    if journey.mode == "air":
        return ()
    if journey.mode == "rail":
        known = _all_known(lists, journey.train or "", journey.seats)
    else:
        known = journey.cabin in lists.cabins
    return () if known else PRODUCT_UNKNOWN


@lru_cache(maxsize=16_384)  # as many as there may be journeys
def _all_known(lists: Lists, train: str, seats: tuple[str, ...]) -> bool:
    return all(lists.knows(train, seat) for seat in seats)


def unheard_of(entries: Sequence[Entry], asked: Asked) -> bool:
    """Whether the number cannot be, and nothing is known of its spelling."""
    return not asked.valid and not entries


def judge(found: Iterable[EntryEffect], place: Place) -> list[Ruling]:
    """The strictest of the entries' answers on `place`; none where nobody objects to it."""
    answers = [answer for effect in found if (answer := effect.ruling(place)) is not None]
    decision = strictest(answers)
    return [answer for answer in answers if answer.decision == decision]


def strictest(answers: Iterable[Ruling]) -> Decision:
    """The strictest decision: deny, refer, allow."""
    return max((answer.decision for answer in answers), key=SEVERITY.__getitem__, default="allow")


def _places(journey: Journey, lists: Lists) -> list[Place]:
    if journey.mode == "rail":
        return [lists.rail(journey.train or "", seat) for seat in journey.seats]
    return [Place(journey.mode, seat=journey.cabin or "")]


def _reasons(answers: Iterable[list[Ruling]]) -> tuple[Reason, ...]:
    """The reasons of every seat, each once: two documents may carry the same entry."""
    return tuple(dict.fromkeys(answer.reason for each in answers for answer in each))


def products(
    found: Mapping[Mode, tuple[EntryEffect, ...]], lists: Lists
) -> dict[Decision, tuple[Product, ...]]:
    """Every product under its decision."""
    first, *rest = (found[mode] for mode in MODES)
    kinds = _kinds(first)
    return _outcomes(lists, kinds, *(kinds if each is first else _kinds(each) for each in rest))


def _kinds(found: Iterable[EntryEffect]) -> frozenset[EffectKind]:
    return frozenset(effect.kind for effect in found)


@lru_cache(maxsize=1024)
def _outcomes(lists: Lists, *kinds: frozenset[EffectKind]) -> dict[Decision, tuple[Product, ...]]:
    """Every product under its decision; `kinds` are those of each of `MODES`.

    There are few combinations of lists and many persons, so the answers are kept.
    """
    by_mode = dict(zip(MODES, kinds, strict=True))
    decisions: dict[Place, Decision] = {
        place: max(
            (kind.decision(place) for kind in by_mode[place.mode]),
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
