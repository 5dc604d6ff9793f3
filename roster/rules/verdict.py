"""What is asked of the rules, and what they answer."""

from __future__ import annotations

from typing import Literal

import msgspec

from roster.documents.names import NameCheck
from roster.records.entry import NameToken
from roster.rules.restrictions import Mode

Decision = Literal["allow", "deny", "refer"]
Warned = Literal["product_unknown", "resident_number"]
StandingWord = Literal["clear", "restricted", "refer"]

SEVERITY: dict[Decision, int] = {"allow": 0, "refer": 1, "deny": 2}
"""The strictest of several decisions is the one with the highest."""


class Journey(msgspec.Struct, frozen=True):
    """What the traveller wants to be sold.

    Rail has a `train` and at least one of `seats`, a ship a `cabin`.
    """

    mode: Mode
    train: str | None = None
    seats: tuple[str, ...] = ()
    cabin: str | None = None
    departs_at_ms: int | None = None


class Asked(msgspec.Struct, frozen=True):
    """When is asked, and what is known of the traveller beside the entries.

    `now_ms` is the time of the look-up. `names` are the tokens of the name that was sent,
    None where none was. `valid` says whether the document can have such a number.
    `disabled` are codes of lists that an operator has disabled.
    """

    now_ms: int
    departs_at_ms: int | None = None
    names: frozenset[NameToken] | None = None
    valid: bool = True
    disabled: frozenset[int] = frozenset()


class Question(msgspec.Struct, frozen=True):
    """One check: a journey, and the rest as in `Asked`."""

    journey: Journey
    now_ms: int
    names: frozenset[NameToken] | None = None
    valid: bool = True
    disabled: frozenset[int] = frozenset()


class Reason(msgspec.Struct, frozen=True):
    """Why: a reason code (docs/api.md, Routes), and the entry that it rests on."""

    code: str
    list: str = ""
    entry_id: str = ""
    case: str = ""
    court: str = ""
    from_ms: int | None = None
    until_ms: int | None = None
    contact: str = ""


class Product(msgspec.Struct, frozen=True, omit_defaults=True):
    """Places that are answered alike: each of `seats` on each of `trains`, or `cabins`."""

    mode: Mode
    trains: tuple[str, ...] | None = None
    seats: tuple[str, ...] | None = None
    cabins: tuple[str, ...] | None = None


class Verdict(msgspec.Struct, frozen=True):
    """The answer to a check; `seats` gives each seat its decision, for rail only."""

    decision: Decision
    reasons: tuple[Reason, ...] = ()
    allowed_instead: tuple[Product, ...] = ()
    name_check: NameCheck | None = None
    seats: dict[str, Decision] | None = None


class Remaining(msgspec.Struct, frozen=True):
    """An entry that has to end before the person is free."""

    list: str
    entry_id: str
    case: str
    court: str
    until_ms: int | None
    contact: str


class Standing(msgspec.Struct, frozen=True):
    """What a person may and may not ride; what can only be referred is in neither."""

    standing: StandingWord
    forbidden: tuple[Product, ...] = ()
    permitted: tuple[Product, ...] = ()
    reasons: tuple[Reason, ...] = ()
    remaining: tuple[Remaining, ...] = ()
