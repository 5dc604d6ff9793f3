"""A batch of checks, step by step for all together: read, put under tokens, sifted, answered.

Whom the filters do not clear is decided with one look at Redis for all.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta

from roster import keys
from roster.check_digits import beijing_day
from roster.clock import boot_s
from roster.errors import InvalidInput
from roster.times import format_ms
from service.answers import (
    Answer,
    answer_of,
    as_item,
    decision_ids,
    plain_allow,
    pseudonym,
    record,
    same,
)
from service.faults import Body
from service.http import INVALID, Service
from service.problems import problem_of
from service.questions import query_of, read_at_least
from service.shapes import ITEMS_MAX, AtLeast, BatchShape, Item, JourneyShape, Shape
from service.subjects import Subjects

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roster.access import ApiKey
    from service.questions import Query
    from service.screening import Screening, Subject


class _Typed(Shape, frozen=True):
    """A batch whose items are all well-formed, decoded in one go."""

    items: Annotated[list[Item], Meta(min_length=1, max_length=ITEMS_MAX)]
    journey: JourneyShape | None = None
    at_least: AtLeast | None = None


_typed_decoder = msgspec.json.Decoder(_Typed)
_batch_decoder = Body(BatchShape)
_item_decoder = Body(Item)
_encode = msgspec.json.Encoder().encode

Batch = _Typed | BatchShape
Result = Answer | dict[str, Any]


class _Work(msgspec.Struct):
    """The well-formed items of a batch, `journeys` as far as each has one; `results` are of all."""

    service: Service
    key: ApiKey
    batch: Batch
    places: Sequence[int]
    items: list[Item]
    results: list[Result]

    def fill(self, index: int, result: Result) -> None:
        """Set the result about an item."""
        self.results[self.places[index]] = result


async def answer_batch(service: Service, key: ApiKey, body: bytes) -> bytes:
    """The answers to a batch, in its order; raises what says that the whole is malformed."""
    arrived_s = boot_s()
    batch = _decode(body)
    everybody = read_at_least(batch.at_least)  # a malformed one is nobody's item's fault
    service.access.spend(key, len(batch.items))
    await service.desk.freshen()
    as_of_ms = service.screener.news.as_of_all_ms
    work = _begin(service, key, batch)
    subjects = _subjects(work)
    await _decide(work, subjects, _clear(work, subjects, asks_all=bool(everybody)))
    about = subjects.partitions or range(keys.PARTITIONS)
    said = {
        "fresh_as_of": format_ms(min(as_of_ms[number] for number in about)),
        "stale": service.screener.stale_since(arrived_s, about),
    }
    return _answer(work.results, said)


def _decode(body: bytes) -> Batch:
    """The batch; where one item is malformed, they are decoded one by one later."""
    try:
        return _typed_decoder.decode(body)
    except msgspec.ValidationError:
        return _batch_decoder.decode(body)


def _begin(service: Service, key: ApiKey, batch: Batch) -> _Work:
    """The items that are well-formed; the results of the others say what is not."""
    results: list[Result] = [{}] * len(batch.items)
    if isinstance(batch, _Typed):
        return _Work(service, key, batch, range(len(results)), batch.items, results)
    places, items = [], []
    for place, raw in enumerate(batch.items):
        try:
            items.append(_item_decoder.decode(raw))
            places.append(place)
        except INVALID as exc:
            results[place] = {"error": problem_of(exc)}
    return _Work(service, key, batch, places, items, results)


def _subjects(work: _Work) -> Subjects:
    today = beijing_day(time.time_ns() // 1_000_000)
    documents = [item.document for item in work.items]
    return Subjects(work.service.desk.tokeniser, documents, today)


def _clear(work: _Work, subjects: Subjects, *, asks_all: bool) -> set[int]:
    """Answer about all who are surely on no list; the others are left."""
    screener = work.service.screener
    left = subjects.unread | subjects.invalid | subjects.known(screener.filters)
    silent = {number for number in subjects.partitions if not screener.speaks(number)}
    if asks_all or not screener.ready:
        left.update(range(len(work.items)))
    elif silent:
        left |= subjects.within(silent)
    default, lists, results = work.batch.journey, work.service.lists, work.results
    ids, modes = iter(decision_ids(len(work.items))), []
    for index, (place, item) in enumerate(zip(work.places, work.items, strict=True)):
        journey = item.journey or default
        if index in left or journey is None or item.at_least:
            left.add(index)
            continue
        try:
            alike = same(journey, lists)
        except InvalidInput:
            left.add(index)
            continue
        results[place] = plain_allow(item, alike, next(ids))
        modes.append(alike.mode)
    screener.cleared += len(modes)
    for mode, count in Counter(modes).items():
        work.service.counters.decided(mode, "allow", count=count)
    return left


async def _decide(work: _Work, subjects: Subjects, left: set[int]) -> None:
    """Answer about those who are left; who may be listed is looked up together with others."""
    desk = work.service.desk
    taken = subjects.taken(left)
    asked: dict[int, tuple[Query, Subject]] = {}
    for index in sorted(left):
        try:
            query = query_of(work.items[index], work.batch)
            subject = taken.get(index) or desk.subject(query)  # which raises what is wrong
        except INVALID as exc:
            work.fill(index, {"error": problem_of(exc)})
            continue
        screening = desk.clear(query, subject)
        if screening is None:
            asked[index] = query, subject
        else:
            work.fill(index, _result(work, query, screening))
    screenings = await desk.ask_all(list(asked.values()))
    for (index, (query, _)), screening in zip(asked.items(), screenings, strict=True):
        work.fill(index, _result(work, query, screening))


def _result(work: _Work, query: Query, screening: Screening) -> Answer:
    service = work.service
    record(service, query, screening)
    subject = pseudonym(service, work.key, screening)
    return as_item(answer_of(screening, query, subject, service.lists))


def _answer(results: Sequence[Result], said: dict[str, Any]) -> bytes:
    """The whole answer; `said` is what it says for all items."""
    counts = {"allow": 0, "deny": 0, "refer": 0, "error": 0}
    for result in results:
        counts["error" if isinstance(result, dict) else result.decision] += 1
    return _encode({"results": results, "counts": counts, **said})
