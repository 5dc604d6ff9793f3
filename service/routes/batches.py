"""A batch of checks, step by step for all together: read, put under tokens, sifted, answered.

Whom the filters do not clear is decided with one look at Redis for all.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from functools import partial
from itertools import repeat
from operator import attrgetter
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import msgspec
import numpy as np
from msgspec import Meta

from roster import keys
from roster.times import beijing_day, boot_s, format_ms, now_ms
from service.deciding.answers import (
    UNSOUND,
    CheckAnswer,
    allowed_journey_if_sound,
    answer_of,
    as_item,
    decision_ids,
    plain_allow,
)
from service.deciding.questions import query_faults, query_of, read_at_least
from service.deciding.travellers import Travellers
from service.parts import Service
from service.sandbox.sandbox import fresh_as_of
from service.web.bodies import COLON, HIDDEN_COLON, INVALID, Body, repeats_a_field
from service.web.faults import gathered
from service.web.problems import Problem, problem_of
from service.web.shapes import ITEMS_MAX, AtLeast, BatchShape, Item, JourneyShape, Shape

if TYPE_CHECKING:
    from collections.abc import Iterable

    from roster.storage.api_keys import ApiKey
    from service.deciding.questions import Query
    from service.deciding.screening import Screening, Traveller


class _Typed(Shape, frozen=True):
    """A batch whose items are all well-formed, decoded in one go."""

    items: Annotated[list[Item], Meta(min_length=1, max_length=ITEMS_MAX)]
    journey: JourneyShape | None = None
    at_least: AtLeast | None = None


MANY = 50
"""Items of which it is cheaper to look at one than to write all again."""
_typed_decoder = msgspec.json.Decoder(_Typed)
_batch_decoder = Body(BatchShape)
_item_decoder = Body(Item)
_encode = msgspec.json.Encoder().encode

_AT_LEAST, _MODE, _DECISION = attrgetter("at_least"), attrgetter("mode"), attrgetter("decision")

Batch = _Typed | BatchShape


class _Refused(msgspec.Struct, gc=False):
    """What is wrong with an item, where its answer would stand."""

    error: Problem
    decision: ClassVar = "error"


class _Work(msgspec.Struct):
    """The well-formed items of a batch and the answers to them; `malformed` are by their places."""

    service: Service
    key: ApiKey
    batch: Batch
    items: list[Item]
    malformed: dict[int, _Refused]
    answers: list[CheckAnswer | _Refused] = []


async def answer_batch(service: Service, key: ApiKey, body: bytes) -> bytes:
    """The answers to a batch, in its order; raises what says that the whole is malformed."""
    arrived_s = boot_s()
    batch = _decode(body)
    everybody = read_at_least(batch.at_least)  # a malformed one is nobody's item's fault
    service.access.spend(key, len(batch.items))
    await service.desk.freshen()
    as_of_ms = service.screener.news.as_of_all_ms
    work = _begin(service, key, batch)
    travellers = _travellers(work)
    left = _clear(work, travellers, asks_all=bool(everybody))
    if left:
        await _decide(work, travellers, left)
    about = travellers.partitions or range(keys.PARTITIONS)
    said = {
        "fresh_as_of": format_ms(min(as_of_ms[number] for number in about)),
        "stale": service.screener.stale_since(arrived_s, about),
    }
    return _answer(work, said)


async def made_up_batch(service: Service, key: ApiKey, body: bytes) -> bytes:
    """The same of people who are made up: nothing is looked up, recorded or counted."""
    batch = _decode(body)
    read_at_least(batch.at_least)
    service.access.spend(key, len(batch.items))
    work = _begin(service, key, batch)
    await service.sandbox.admit(item.document for item in work.items)
    screened = [_made_up(work, item) for item in work.items]
    work.answers = [answer for answer, _ in screened]
    stale = any(stale for _, stale in screened)
    return _answer(work, {"fresh_as_of": fresh_as_of(stale=stale), "stale": stale})


def _decode(body: bytes) -> Batch:
    """The batch; where one item is malformed, or in two ways to be read, each is decoded later."""
    with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        batch = _typed_decoder.decode(body)
        even = len(batch.items) >= MANY and _is_even(body, batch)
        if even or not repeats_a_field(body, batch):
            return batch
    return _batch_decoder.decode(body, _batch_faults)


def _batch_faults(batch: Batch) -> Iterable[tuple[str, str]]:
    """What is wrong with what it says for all."""
    return gathered([lambda: read_at_least(batch.at_least)])


def _is_even(body: bytes, batch: _Typed) -> bool:
    """Whether there are as many names as in so many items like the first.

    So it mostly is; then all items need not be written again to see that none says a thing twice.
    It cannot see one that does where another has a colon less, of a name or in a text.
    """
    if b"\\" in body and HIDDEN_COLON in body:
        return False
    first = _encode(batch.items[0]).count(COLON)
    one = _encode(msgspec.structs.replace(batch, items=batch.items[:1])).count(COLON)
    colons = np.count_nonzero(np.frombuffer(body, np.uint8) == ord(COLON))
    return bool(colons == one + (len(batch.items) - 1) * first)


def _begin(service: Service, key: ApiKey, batch: Batch) -> _Work:
    """The items that are well-formed, and what is wrong with the others."""
    if isinstance(batch, _Typed):
        return _Work(service, key, batch, batch.items, {})
    items, malformed = [], {}
    meant = partial(query_faults, defaults=batch)
    for place, raw in enumerate(batch.items):
        try:
            items.append(_item_decoder.decode(raw, meant))
        except INVALID as exc:
            malformed[place] = _Refused(problem_of(exc))
    return _Work(service, key, batch, items, malformed)


def _travellers(work: _Work) -> Travellers:
    today = beijing_day(now_ms())
    documents = [item.document for item in work.items]
    return Travellers(work.service.desk.tokeniser, documents, today)


def _clear(work: _Work, travellers: Travellers, *, asks_all: bool) -> set[int]:
    """CheckAnswer everybody as if on no list; those are left of whom that is not sure."""
    screener, items = work.service.screener, work.items
    journeys = [item.journey or work.batch.journey for item in items]
    alike = list(map(allowed_journey_if_sound, journeys, repeat(work.service.lists)))
    work.answers = list(map(plain_allow, items, alike, decision_ids(len(items))))
    if asks_all or not screener.ready:
        return set(range(len(items)))
    left = travellers.unread | travellers.invalid | travellers.known(screener.filters)
    if silent := screener.silent(travellers.partitions):
        left |= travellers.within(silent)
    if any(map(_AT_LEAST, items)):
        left.update(index for index, item in enumerate(items) if item.at_least)
    modes = Counter(map(_MODE, alike))
    if UNSOUND.mode in modes:
        left.update(index for index, each in enumerate(alike) if each is UNSOUND)
    modes.subtract(alike[index].mode for index in left)
    screener.cleared += len(items) - len(left)
    for mode, count in modes.items():
        if mode and count:
            work.service.counters.decided(mode, "allow", count=count)
    return left


async def _decide(work: _Work, travellers: Travellers, left: set[int]) -> None:
    """CheckAnswer about those who are left; who may be listed is looked up together with others."""
    desk = work.service.desk
    taken, answers = travellers.taken(left), work.answers
    asked: dict[int, tuple[Query, Traveller]] = {}
    for index in sorted(left):
        try:
            query = query_of(work.items[index], work.batch)
            traveller = taken.get(index) or desk.traveller(query)  # which raises what is wrong
        except INVALID as exc:
            answers[index] = _Refused(problem_of(exc))
            continue
        screening = desk.clear(query, traveller)
        if screening is None:
            asked[index] = query, traveller
        else:
            answers[index] = _result(work, query, screening)
    screenings = await desk.ask_all(list(asked.values()))
    for (index, (query, _)), screening in zip(asked.items(), screenings, strict=True):
        answers[index] = _result(work, query, screening)


def _result(work: _Work, query: Query, screening: Screening) -> CheckAnswer:
    service = work.service
    service.counters.screened(query.journey.mode, screening.token, screening.verdict)
    subject = service.desk.pseudonym(work.key.id, screening)
    answer = answer_of(screening, query, subject, service.lists)
    service.audit.record_decision(work.key.id, query.journey.mode, screening, answer.decision_id)
    return as_item(answer)


def _made_up(work: _Work, item: Item) -> tuple[CheckAnswer | _Refused, bool]:
    """The answer to one check, and whether it is stale."""
    sandbox, lists = work.service.sandbox, work.service.lists
    try:
        query = query_of(item, work.batch)
        screening = sandbox.screen(query)
    except INVALID as exc:
        return _Refused(problem_of(exc)), False
    subject = sandbox.pseudonym(work.key.id, screening)
    return as_item(answer_of(screening, query, subject, lists)), screening.stale


def _answer(work: _Work, said: dict[str, Any]) -> bytes:
    """The whole answer; `said` is what it says for all items."""
    results = work.answers
    for place, refused in work.malformed.items():  # in their order
        results.insert(place, refused)
    found = Counter(map(_DECISION, results))
    counts = {decision: found[decision] for decision in ("allow", "deny", "refer", "error")}
    return _encode({"results": results, "counts": counts, **said})
