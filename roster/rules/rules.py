"""Entries, a journey and the time make a verdict; nothing else does."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

from roster.records.entry import Entry
from roster.rules.effects import Answer, Bearing, Kind, Known, bearings, known
from roster.rules.effects import kinds as mode_kinds
from roster.rules.products import outcomes
from roster.rules.restrictions import MODES, Lists, Place
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

__all__ = ["Asked", "Decision", "Journey", "Product", "Question", "Reason", "Verdict", "decide"]

INVALID = Reason("document_invalid")
PRODUCT_UNKNOWN: tuple[Warned, ...] = ("product_unknown",)


def decide(entries: Sequence[Entry], question: Question, lists: Lists) -> Verdict:
    """The verdict on one journey of the person whose documents have these `entries`.

    `entries` are all that is known of the person, tombstones too.
    """
    asked, journey = question.asked, question.journey
    person = known(entries, asked)
    name_check = None if asked.names is None else person.name_check
    if unheard_of(entries, asked):
        return Verdict("refer", (INVALID,), name_check=name_check)
    found = bearings(person, journey.mode, asked, lists)
    answers = [judge(found, place) for place in _places(journey, lists)]
    decisions = [strictest(each) for each in answers]
    decision = max(decisions, key=SEVERITY.__getitem__)
    return Verdict(
        decision=decision,
        reasons=_reasons(answers),
        allowed_instead=_allowed_instead(person, asked, lists) if decision == "deny" else (),
        name_check=name_check,
        seats=dict(zip(journey.seats, decisions, strict=True)) if journey.mode == "rail" else None,
    )


def _allowed_instead(person: Known, asked: Asked, lists: Lists) -> tuple[Product, ...]:
    return outcomes(lists, *kinds(person, asked, lists))["allow"]


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


def judge(found: Iterable[Bearing], place: Place) -> list[Answer]:
    """The strictest of the entries' answers on `place`; none where nobody objects to it."""
    answers = [answer for bearing in found if (answer := bearing.answer(place)) is not None]
    decision = strictest(answers)
    return [answer for answer in answers if answer.decision == decision]


def strictest(answers: Iterable[Answer]) -> Decision:
    """The strictest decision: deny, refer, allow."""
    return max((answer.decision for answer in answers), key=SEVERITY.__getitem__, default="allow")


def kinds(person: Known, asked: Asked, lists: Lists) -> list[frozenset[Kind]]:
    """What bears on each mode, in the order of `MODES`."""
    if person.lifts:
        return [mode_kinds(person, mode, asked, lists) for mode in MODES]
    return [mode_kinds(person, MODES[0], asked, lists)] * len(MODES)  # only lifts know modes


def _places(journey: Journey, lists: Lists) -> list[Place]:
    if journey.mode == "rail":
        return [lists.rail(journey.train or "", seat) for seat in journey.seats]
    return [Place(journey.mode, seat=journey.cabin or "")]


def _reasons(answers: Iterable[list[Answer]]) -> tuple[Reason, ...]:
    """The reasons of every seat, each once: two documents may carry the same entry."""
    return tuple(dict.fromkeys(answer.reason for each in answers for answer in each))
