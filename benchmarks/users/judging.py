"""Whether an answer is what the list says: every one, by what `oracle.py` reads in the file."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from benchmarks.questions import oracle
from benchmarks.questions.oracle import Asked

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.users.journeys import Question
    from benchmarks.users.travellers import Rows, Traveller

FALSE_DENIAL, FALSE_ALLOW, WRONG = "false denial", "false allow", "wrong"
REFERRED = "referred: "
_STRICTEST = ("deny", "refer", "allow")
_AS_IT_SHOULD = "name_mismatch"  # the one reason to refer that the list itself may give


class Reason(msgspec.Struct, gc=False):
    """Why, as far as it is compared."""

    code: str
    list: str = ""
    entry_id: str = ""


class Answer(msgspec.Struct, gc=False):
    """An answer to a check, as far as it is compared; an item that is an error decides nothing."""

    decision: str = "error"
    reasons: list[Reason] = msgspec.field(default_factory=list)
    seats: dict[str, str] | None = None
    name_check: str | None = None
    subject: str | None = None
    reference: str | None = None
    position: str | None = None


class BatchAnswer(msgspec.Struct):
    """An answer to a batch."""

    results: list[Answer]
    counts: dict[str, int]


class Standing(msgspec.Struct):
    """An answer to what a person may ride at all."""

    standing: str
    reasons: list[Reason] = msgspec.field(default_factory=list)


class Right(NamedTuple):
    """The right answer, as long as the list says the same of the person."""

    decision: str
    name_check: str | None
    entries: frozenset[tuple[str, str]]
    seats: dict[str, str] | None


class Moments(NamedTuple):
    """When a question was sent, and when its answer had come."""

    asked_s: float
    answered_s: float


answer_of = msgspec.json.Decoder(Answer).decode
batch_of = msgspec.json.Decoder(BatchAnswer).decode
standing_of = msgspec.json.Decoder(Standing).decode


def fault(question: Question, answer: Answer, moments: Moments) -> str:
    """What is wrong with an answer, without naming anybody; empty where nothing is."""
    if question.traveller.unlisted and _plain(question, answer):
        return ""
    if (code := referral(answer.decision, answer.reasons)) not in ("", _AS_IT_SHOULD):
        return REFERRED + code
    possible = question.traveller.possible(*moments, question.at_least)
    rights = [_right(rows, question) for rows in possible]
    faults = [_difference(right, answer) for right in rights]
    if not all(faults):
        return ""
    if answer.decision in {right.decision for right in rights}:
        return next(each for each in faults if each.startswith(WRONG))
    return faults[-1]


def faults(questions: Sequence[Question], answer: BatchAnswer, moments: Moments) -> Iterator[str]:
    """What is wrong with a batch's answers; nothing where nothing is."""
    if len(answer.results) != len(questions):
        yield f"{WRONG}: a batch has other answers than questions"
        return
    for question, result in zip(questions, answer.results, strict=True):
        if found := fault(question, result, moments):
            yield found
        if result.reference != question.reference:
            yield f"{WRONG}: an answer has another reference"
    counted = Counter(result.decision for result in answer.results)
    if any(answer.counts.get(decision, 0) != counted[decision] for decision in _COUNTED):
        yield f"{WRONG}: a batch counts its answers otherwise"


def standing_fault(traveller: Traveller, answer: Standing, moments: Moments) -> str:
    """What is wrong with a standing: only whoever has an entry that holds is restricted."""
    if code := referral(answer.standing, answer.reasons):
        return REFERRED + code
    now = oracle.now()
    rights = {
        "restricted" if any(oracle.binds(row, now) for row in rows) else "clear"
        for rows in traveller.possible(*moments)
    }
    if answer.standing in rights:
        return ""
    return {"restricted": FALSE_DENIAL, "clear": FALSE_ALLOW}.get(answer.standing, WRONG)


def referral(decision: str, reasons: Sequence[Reason]) -> str:
    """Why somebody was referred; empty where they were not."""
    if decision != "refer":
        return ""
    return reasons[0].code if reasons else "without a reason"


_COUNTED = ("allow", "deny", "refer", "error")


def _plain(question: Question, answer: Answer) -> bool:
    """Whether somebody is allowed as one who is on no list."""
    if answer.decision != "allow" or answer.reasons or answer.subject:
        return False
    return answer.seats is None or (
        question.journey.several
        and len(answer.seats) == len(question.journey.asked)
        and {*answer.seats.values()} == {"allow"}
    )


def _right(rows: Rows, question: Question) -> Right:
    name, journey = question.name, question.journey
    each = [oracle.answer(rows, Asked(asked, name)) for asked in journey.asked]
    decision = next(word for word in _STRICTEST if any(one.decision == word for one in each))
    entries = frozenset(entry for one in each for entry in one.entries)
    check = next((one.name_check for one in each if one.name_check), None)
    seats = (
        {asked["seat"]: one.decision for asked, one in zip(journey.asked, each, strict=True)}
        if journey.several
        else None
    )
    return Right(decision, check, entries, seats)


def _difference(right: Right, answer: Answer) -> str:
    if answer.decision != right.decision:
        named = {"deny": FALSE_DENIAL, "allow": FALSE_ALLOW}
        return named.get(answer.decision, f"{WRONG}: {answer.decision}")
    if right.name_check and answer.name_check != right.name_check:
        return f"{WRONG}: name_check {answer.name_check}"
    if answer.seats != right.seats:
        return f"{WRONG}: other seats"
    named_entries = {(reason.list, reason.entry_id) for reason in answer.reasons}
    if right.decision == "deny" and not (named_entries and named_entries <= right.entries):
        return f"{WRONG}: denied for entries that do not forbid it"
    return ""
