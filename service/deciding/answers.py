"""Screenings as the JSON that checks are answered with (docs/api.md, Routes)."""

from __future__ import annotations

import itertools
import secrets
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from roster.documents.identity import Document, is_a_cards_number
from roster.errors import InvalidInput
from roster.keys import PARTITIONS
from roster.records.entry import BIND, Op
from roster.rules.rules import warnings
from roster.times import format_ms
from service.deciding.questions import read_journey
from service.deciding.screening import CLEAR, name_check

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roster.documents.names import NameCheck
    from roster.rules.restrictions import Lists, Mode
    from roster.rules.verdict import Decision, Product, Reason, Remaining, Standing, Warned
    from service.deciding.questions import Query
    from service.deciding.screening import Screening
    from service.web.shapes import Check, Item, JourneyShape

OTHER_TRAINS = "*"
"""What answers call every train whose letter has no rule of its own."""
_PREFIX = secrets.token_hex(8)
_NUMBERS = itertools.count()
_BYTES = 17
_PARTITION, _SECOND = 12, slice(13, 17)


def decision_id() -> str:
    """A name for one decision, never given twice."""
    return f"{_PREFIX}{next(_NUMBERS):08x}"


def decision_ids(count: int) -> list[str]:
    """Names for several decisions."""
    return [f"{_PREFIX}{number:08x}" for number in itertools.islice(_NUMBERS, count)]


def decision_id_of(screening: Screening) -> str:
    """A name for this decision; one that the audit keeps says where."""
    name = decision_id()
    return (
        name
        if screening.verdict.decision == "allow"
        else recorded_decision_id(name, screening.token)
    )


class RecordedAt(NamedTuple):
    """A decision's name in bytes, its person's partition, and the second in which it was given."""

    id: bytes
    partition: int
    ms: int


def recorded_decision_id(decision_id: str, token: bytes) -> str:
    """The name of a decision about this person that is recorded now."""
    return f"{decision_id}{token[1]:02x}{int(time.time()):08x}"


def recorded_at(decision_id: str) -> RecordedAt | None:
    """Where the audit would have it; None where it is no name of a recorded decision."""
    try:
        found = bytes.fromhex(decision_id)
    except ValueError:
        return None
    if len(found) != _BYTES or found[_PARTITION] >= PARTITIONS or found.hex() != decision_id:
        return None
    return RecordedAt(found, found[_PARTITION], int.from_bytes(found[_SECOND]) * 1000)


def time_or_null(ms: int | None) -> str | None:
    """The time as text, or null for an open end."""
    return None if ms is None else format_ms(ms)


def op_name(op: Op, code: int) -> str:
    """A change's name in the feed (docs/api.md, Routes); a load's endings are `absent`."""
    if code == BIND:
        return "bind" if op is Op.PUT else "unbind"
    return op.name.lower()


def reason_json(reason: Reason, screening: Screening | None = None) -> dict[str, Any]:
    """One reason; those about an entry name it in full."""
    shown: dict[str, Any] = {"code": reason.code}
    if reason.entry_id:
        shown |= {
            "list": reason.list,
            "entry_id": reason.entry_id,
            "case": reason.case,
            "court": reason.court,
            "from": time_or_null(reason.from_ms),
            "until": time_or_null(reason.until_ms),
            "contact": reason.contact,
        }
    elif reason.list:
        shown |= {"list": reason.list, "contact": reason.contact}
    if screening is not None and screening.last_known is not None:
        shown["last_known"] = screening.last_known
        shown["retry_after_ms"] = screening.retry_after_ms
    return shown


def remaining_json(remaining: Remaining) -> dict[str, Any]:
    """One entry that has to end before the person is free."""
    return {
        "list": remaining.list,
        "entry_id": remaining.entry_id,
        "case": remaining.case,
        "court": remaining.court,
        "until": time_or_null(remaining.until_ms),
        "contact": remaining.contact,
    }


def standing_json(
    found: Standing, lists: Lists, position: str, screening: Screening | None = None
) -> dict[str, Any]:
    """What holds for a person; the screening has what goes with a reason that will pass."""
    return {
        "standing": found.standing,
        "forbidden": [product_json(product, lists) for product in found.forbidden],
        "permitted": [product_json(product, lists) for product in found.permitted],
        "reasons": [reason_json(reason, screening) for reason in found.reasons],
        "remaining": [remaining_json(each) for each in found.remaining],
        "position": position,
    }


@lru_cache(maxsize=4_096)  # the rules know few products; the answers share them
def product_json(product: Product, lists: Lists) -> dict[str, Any]:
    """One product, without the fields that its mode lacks.

    Whoever reads "every train" in `*` is told which letters it does not mean.
    """
    shown: dict[str, Any] = msgspec.to_builtins(product)
    if product.trains and OTHER_TRAINS in product.trains:
        names = (name for trains in lists.trains for name in trains.names)
        excepted = [name for name in names if name not in product.trains]
        if excepted:
            shown["except_trains"] = excepted
    return shown


class CheckAnswer(msgspec.Struct, gc=False):
    """The answer to one check, in the order in which it is written; what is unset is left out."""

    decision: Decision
    reasons: Sequence[dict[str, Any]] | UnsetType = UNSET
    allowed_instead: Sequence[dict[str, Any]] | UnsetType = UNSET
    seats: dict[str, Decision] | UnsetType = UNSET
    name_check: NameCheck | UnsetType = UNSET
    subject: str | UnsetType = UNSET
    decision_id: str | UnsetType = UNSET
    position: str | UnsetType = UNSET
    reference: str | UnsetType = UNSET
    warnings: tuple[Warned, ...] | UnsetType = UNSET
    fresh_as_of: str | UnsetType = UNSET
    stale: bool | UnsetType = UNSET


class AllowedJourney(msgspec.Struct, frozen=True, gc=False):
    """What is the same in the answers to all whom a journey is allowed; and its fields' number."""

    mode: Mode | Literal[""]
    seats: dict[str, Decision] | UnsetType = UNSET
    warnings: tuple[Warned, ...] | UnsetType = UNSET
    names: int = 0


UNSOUND = AllowedJourney("")
"""Of no journey at all."""


@lru_cache(maxsize=16_384)  # as many as there may be journeys
def allowed_journey(shape: JourneyShape, lists: Lists) -> AllowedJourney:
    """What is the same for one journey; raises InvalidInput where it is malformed."""
    journey = read_journey(shape)
    seats = dict.fromkeys(journey.seats, CLEAR.decision) if isinstance(shape.seat, tuple) else UNSET
    names = sum(value is not None for value in msgspec.structs.astuple(shape))
    return AllowedJourney(journey.mode, seats, warnings(journey, lists) or UNSET, names)


@lru_cache(maxsize=16_384)
def allowed_journey_if_sound(shape: JourneyShape | None, lists: Lists) -> AllowedJourney:
    """What is the same; `UNSOUND` where there is no journey, or a malformed one."""
    try:
        return UNSOUND if shape is None else allowed_journey(shape, lists)
    except InvalidInput:
        return UNSOUND


def plain_allow(asked: Check | Item, journey: AllowedJourney, decision_id: str) -> CheckAnswer:
    """The answer about somebody who is surely on no list, as an item of a batch has it."""
    return CheckAnswer(
        "allow",
        seats=journey.seats,
        name_check=UNSET if asked.name is None else "not_compared",
        decision_id=decision_id,
        reference=UNSET if asked.reference is None else asked.reference,
        warnings=journey.warnings
        if asked.document.type == "resident_id"
        else _warned(asked.document, journey.warnings),
    )


def answer_of(screening: Screening, query: Query, subject: str | None, lists: Lists) -> CheckAnswer:
    """The answer to one check, without what a batch says for all."""
    verdict = screening.verdict
    seats = verdict.seats or dict.fromkeys(query.journey.seats, verdict.decision)
    return CheckAnswer(
        verdict.decision,
        reasons=[reason_json(reason, screening) for reason in verdict.reasons],
        allowed_instead=[product_json(product, lists) for product in verdict.allowed_instead],
        seats=seats if query.several_seats else UNSET,
        name_check=name_check(screening, query.name) or UNSET,
        subject=subject or UNSET,
        decision_id=decision_id_of(screening),
        position=screening.position,
        reference=UNSET if query.reference is None else query.reference,
        warnings=_warned(query.document, warnings(query.journey, lists)),
    )


def _warned(
    document: Document, journeys: tuple[Warned, ...] | UnsetType
) -> tuple[Warned, ...] | UnsetType:
    """A journey's warnings, with those about the document."""
    if is_a_cards_number(document):
        return (*(journeys or ()), "resident_number")
    return journeys or UNSET


def as_item(answer: CheckAnswer) -> CheckAnswer:
    """An answer as one of a batch: without empty fields, a plain allow without its position."""
    answer.reasons = answer.reasons or UNSET
    answer.allowed_instead = answer.allowed_instead or UNSET
    if answer.decision == "allow" and not answer.reasons:
        answer.position = UNSET
    return answer
