"""What a person may and may not ride at all, by the same rules as a check."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from roster.records.entry import LIFT, RESTRICTING_BELOW, Entry, active
from roster.rules.effects import (
    Applicable,
    EntryEffect,
    applicable,
    effects_by_mode,
    in_force,
    reason,
)
from roster.rules.restrictions import Lists, Mode
from roster.rules.rules import INVALID, judge, products, unheard_of
from roster.rules.verdict import Asked, Decision, Reason, Remaining, Standing, StandingWord

_STRICTEST_FIRST: dict[Decision, StandingWord] = {
    "deny": "restricted",
    "refer": "refer",
    "allow": "clear",
}


def standing(entries: Sequence[Entry], asked: Asked, lists: Lists) -> Standing:
    """What holds for the person whose documents have these `entries`, on every product.

    A restricted person is one to whom at least one product is denied; where nothing is
    denied and something can only be referred, the standing is `refer`.
    """
    if unheard_of(entries, asked):
        return Standing("refer", reasons=(INVALID,))
    person = applicable(entries, asked)
    found = effects_by_mode(person, asked, lists)
    decided = products(found, lists)
    word = next(word for decision, word in _STRICTEST_FIRST.items() if decided[decision])
    return Standing(
        standing=word,
        forbidden=decided["deny"],
        permitted=decided["allow"],
        reasons=_reasons(found, lists, word),
        remaining=_remaining(entries, asked, person, lists),
    )


def denied(entries: Sequence[Entry], now_ms: int, lists: Lists) -> bool:
    """Whether a person of these entries is denied anything at all, now."""
    binding = active(entries)
    if any(entry.list == LIFT for entry in binding):
        return standing(entries, Asked(now_ms), lists).standing == "restricted"
    return any(
        _forbids(lists, entry.list)
        for entry in binding
        if entry.list < RESTRICTING_BELOW and in_force(entry, now_ms)
    )


@lru_cache(maxsize=1_024)
def _forbids(lists: Lists, code: int) -> bool:
    """Whether a list forbids anything at all."""
    rule = lists.by_code(code)
    return rule is not None and any(rule.effect(place) == "forbidden" for place in lists.places())


def _reasons(
    found: Mapping[Mode, tuple[EntryEffect, ...]], lists: Lists, word: StandingWord
) -> tuple[Reason, ...]:
    """Every reason that a check of some product gives.

    Doubtful seats are no reason where the person is restricted anyway.
    """
    answers = [answer for place in lists.places() for answer in judge(found[place.mode], place)]
    reasons = dict.fromkeys(answer.reason for answer in answers)
    return tuple(each for each in reasons if word != "restricted" or each.code != "product_unknown")


def _remaining(
    entries: Sequence[Entry], asked: Asked, person: Applicable, lists: Lists
) -> tuple[Remaining, ...]:
    """The entries whose end is still to come, those that bind later included."""
    if person.cleared_by is not None:
        return ()
    times = [asked.now_ms] if asked.departs_at_ms is None else [asked.now_ms, asked.departs_at_ms]
    ahead = [
        entry
        for entry in sorted(active(entries), key=lambda each: (each.list, each.content.entry_id))
        if entry.list < RESTRICTING_BELOW
        and (entry.content.until_ms is None or entry.content.until_ms > min(times))
    ]
    return tuple(dict.fromkeys(_remains(reason("listed", entry, lists)) for entry in ahead))


def _remains(of: Reason) -> Remaining:
    return Remaining(of.list, of.entry_id, of.case, of.court, of.until_ms, of.contact)
