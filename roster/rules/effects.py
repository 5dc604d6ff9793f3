"""What each entry of a person decides for one mode of travel at the times asked.

Windows, lifts and names are settled here once, for every place of the mode: what is left
is whether the entry's list forbids the place.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from roster.documents.names import NameCheck, compare
from roster.records.entry import CANARY, LIFT, RESTRICTING_BELOW, Entry, active
from roster.rules.restrictions import MODES, Effect, ListRule, Lists, Mode, Place
from roster.rules.verdict import Asked, Decision, Reason

MISTAKEN_IDENTITY = "mistaken_identity"
_TEMPORARY = ""


class Ruling(NamedTuple):
    """A decision with its reason."""

    decision: Decision
    reason: Reason


class EffectKind(NamedTuple):
    """What an entry decides where its list forbids a place, and where nobody can say.

    `rule` is None for a list that `lists.toml` does not know.
    """

    rule: ListRule | None
    forbidden: Decision
    unknown: Decision

    def decision(self, place: Place) -> Decision:
        """What it decides on `place`."""
        effect = _effect(self.rule, place)
        if effect == "allowed":
            return "allow"
        return self.forbidden if effect == "forbidden" else self.unknown


class EntryEffect(NamedTuple):
    """What an entry answers where its list forbids a place, and where nobody can say."""

    rule: ListRule | None
    forbidden: Ruling
    unknown: Ruling

    @property
    def kind(self) -> EffectKind:
        """The effect without its reasons: many entries decide alike."""
        return EffectKind(self.rule, self.forbidden.decision, self.unknown.decision)

    def ruling(self, place: Place) -> Ruling | None:
        """What it answers on `place`, or None where its list lets `place` be."""
        effect = _effect(self.rule, place)
        if effect == "allowed":
            return None
        return self.forbidden if effect == "forbidden" else self.unknown


def _effect(rule: ListRule | None, place: Place) -> Effect:
    return "unknown" if rule is None else rule.effect(place)


class Applicable(msgspec.Struct, frozen=True):
    """What binds a person at the times asked, and what speaks for them.

    `binding` are the restricting entries, each with how its names compare; `lifts` the
    permissions in force; `cleared_by` the mistaken identity that applies; `confirmed`
    whether any entry has the traveller's name.
    """

    binding: tuple[tuple[Entry, NameCheck], ...] = ()
    lifts: tuple[Entry, ...] = ()
    cleared_by: Entry | None = None
    confirmed: bool = False

    @property
    def name_check(self) -> NameCheck:
        """The outcome for all entries together."""
        checks = {check for _, check in self.binding}
        if "match" in checks:
            return "match"
        return "mismatch" if "mismatch" in checks else "not_compared"


def applicable(entries: Sequence[Entry], asked: Asked) -> Applicable:
    """What of `entries` counts at the times asked.

    A restriction binds now or at departure. A lift has to cover departure if that is
    given, else now.
    """
    departure = asked.now_ms if asked.departs_at_ms is None else asked.departs_at_ms
    live = sorted(active(entries), key=lambda entry: (entry.list, entry.content.entry_id))
    binding = tuple(
        (entry, _name_check(entry, asked))
        for entry in live
        if (entry.list < RESTRICTING_BELOW or entry.list == CANARY)
        and (in_force(entry, asked.now_ms) or in_force(entry, departure))
    )
    lifts = [
        entry
        for entry in live
        # A lift always ends: one without an end is none (docs/api.md, Routes).
        if entry.list == LIFT and entry.content.until_ms is not None and in_force(entry, departure)
    ]
    mistaken = [lift for lift in lifts if lift.content.kind == MISTAKEN_IDENTITY]
    return Applicable(
        binding=binding,
        lifts=tuple(lift for lift in lifts if lift.content.kind == _TEMPORARY),
        cleared_by=_longest([lift for lift in mistaken if _name_check(lift, asked) == "match"]),
        confirmed=any(check == "match" for _, check in binding),
    )


def effects_by_mode(
    person: Applicable, asked: Asked, lists: Lists
) -> dict[Mode, tuple[EntryEffect, ...]]:
    """What the person's entries decide for each mode, in their order."""
    if not person.lifts:  # which alone know modes
        return dict.fromkeys(MODES, _effects(person, MODES[0], asked, lists))
    return {mode: _effects(person, mode, asked, lists) for mode in MODES}


def _effects(person: Applicable, mode: Mode, asked: Asked, lists: Lists) -> tuple[EntryEffect, ...]:
    found = []
    for entry, check in person.binding:
        rule = lists.by_code(entry.list)
        permission = _permission(entry, mode, person, lists)
        if permission is not None:
            found.append(EntryEffect(rule, permission, permission))
        elif rule is None or entry.list in asked.disabled:
            manual = Ruling("refer", reason("list_disabled", entry, lists))
            found.append(EntryEffect(rule, manual, manual))
        else:
            somebody_else = check == "mismatch" and not person.confirmed
            found.append(_restriction(entry, rule, lists, somebody_else=somebody_else))
    return tuple(found)


def in_force(entry: Entry, at_ms: int) -> bool:
    """Whether `at_ms` lies in the entry's window: from its first instant to before its end."""
    start, end = entry.content.from_ms, entry.content.until_ms
    return (start is None or start <= at_ms) and (end is None or at_ms < end)


def reason(code: str, entry: Entry, lists: Lists) -> Reason:
    """The reason `code`, resting on `entry`."""
    rule, content = lists.by_code(entry.list), entry.content
    return Reason(
        code=code,
        list=lists.name(entry.list),
        entry_id=content.entry_id,
        case=content.case,
        court=content.court,
        from_ms=content.from_ms,
        until_ms=content.until_ms,
        contact="" if rule is None else rule.contact,
    )


def _restriction(entry: Entry, rule: ListRule, lists: Lists, *, somebody_else: bool) -> EntryEffect:
    if somebody_else:
        forbidden = Ruling("refer", reason("name_mismatch", entry, lists))
    else:
        forbidden = Ruling("deny", reason("listed", entry, lists))
    # About the place, not the entry: once for each list.
    doubt = Reason("product_unknown", list=rule.id, contact=rule.contact)
    return EntryEffect(rule, forbidden, Ruling("refer", doubt))


def _permission(entry: Entry, mode: Mode, person: Applicable, lists: Lists) -> Ruling | None:
    """What allows this person `mode` in spite of `entry`."""
    if person.cleared_by is not None:
        return Ruling("allow", reason("cleared", person.cleared_by, lists))
    lift = _longest([lift for lift in person.lifts if _lifts(lift, entry, mode, lists)])
    return None if lift is None else Ruling("allow", reason("lifted", lift, lists))


def _lifts(lift: Entry, entry: Entry, mode: Mode, lists: Lists) -> bool:
    wanted = lift.content
    cases = {_plain(case) for case in wanted.cases}
    return (
        lists.name(entry.list) in (wanted.lifts or lists.lifted_by_default)
        and (not wanted.modes or mode in wanted.modes)
        and (not cases or _plain(entry.content.case) in cases)
    )


def _longest(lifts: Sequence[Entry]) -> Entry | None:
    """The one that ends last, which is the one to tell the traveller."""
    return max(lifts, key=lambda lift: lift.content.until_ms or 0, default=None)


def _name_check(entry: Entry, asked: Asked) -> NameCheck:
    return "not_compared" if asked.names is None else compare(asked.names, entry.content.names)


def _plain(case: str) -> str:
    """A case number with half-width parentheses.

    One record may hold both: docs/domain.md, Lifts.
    """
    return unicodedata.normalize("NFKC", case)
