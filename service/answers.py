"""Screenings as the JSON that CONTRACT.md describes."""

from __future__ import annotations

import itertools
import secrets
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from roster.entry import BIND, Op
from roster.rules import warnings
from roster.times import format_ms
from service.screening import name_check

if TYPE_CHECKING:
    from roster.access import ApiKey
    from roster.restrictions import Lists
    from roster.verdict import Product, Reason, Remaining
    from service.http import Service
    from service.questions import Query
    from service.screening import Screening

_PREFIX = secrets.token_hex(8)
_NUMBERS = itertools.count()


def decision_id() -> str:
    """A name for one decision, never given twice."""
    return f"{_PREFIX}{next(_NUMBERS):08x}"


def decision_ids(count: int) -> list[str]:
    """The same for several decisions."""
    return [f"{_PREFIX}{number:08x}" for number in itertools.islice(_NUMBERS, count)]


def time_or_null(ms: int | None) -> str | None:
    """The time as text, or null for an open end."""
    return None if ms is None else format_ms(ms)


def op_name(op: Op, code: int) -> str:
    """A change's name as CONTRACT.md gives it; a load's endings are `absent`."""
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


@lru_cache(maxsize=4_096)  # the rules know few products; the answers share them
def product_json(product: Product) -> dict[str, Any]:
    """One product, without the fields that its mode lacks."""
    shown: dict[str, Any] = msgspec.to_builtins(product)
    return shown


def answer_json(
    screening: Screening, query: Query, subject: str | None, lists: Lists
) -> dict[str, Any]:
    """The answer to one check, without what a batch says for all."""
    verdict = screening.verdict
    answer: dict[str, Any] = {
        "decision": verdict.decision,
        "reasons": [reason_json(reason, screening) for reason in verdict.reasons],
        "allowed_instead": [product_json(product) for product in verdict.allowed_instead],
    }
    if query.several_seats:
        answer["seats"] = verdict.seats or dict.fromkeys(query.journey.seats, verdict.decision)
    named = name_check(screening, query.name)
    if named is not None:
        answer["name_check"] = named
    if screening.on_roster and subject is not None:
        answer["subject"] = subject
    answer["decision_id"] = decision_id()
    answer["position"] = screening.position
    if query.reference is not None:
        answer["reference"] = query.reference
    if warned := warnings(query.journey, lists):
        answer["warnings"] = warned
    return answer


def item_json(
    screening: Screening, query: Query, subject: str | None, lists: Lists
) -> dict[str, Any]:
    """The same as one of a batch: without empty fields, a plain allow without its position."""
    answer = answer_json(screening, query, subject, lists)
    for empty in ("reasons", "allowed_instead"):
        if not answer[empty]:
            del answer[empty]
    if answer["decision"] == "allow" and "reasons" not in answer:
        del answer["position"]
    return answer


def pseudonym(service: Service, key: ApiKey, screening: Screening) -> str | None:
    """What this caller knows the person as, where they are on the roster."""
    if not screening.on_roster:
        return None
    return service.desk.tokeniser.subject(key.id, screening.token)


def record(service: Service, query: Query, screening: Screening) -> None:
    """Count the decision, and for a refer its reason; the canary's are nobody's."""
    if screening.token == service.canary_token:
        return
    verdict = screening.verdict
    code = verdict.reasons[0].code if verdict.decision == "refer" else ""
    service.counters.decided(query.journey.mode, verdict.decision, code)
