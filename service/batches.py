"""A batch of checks: swept first, then whoever is left is decided with one look at Redis."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta

from roster.clock import boot_s
from roster.errors import InvalidInput
from roster.rules import warnings
from roster.times import format_ms
from service.answers import decision_ids, item_json, pseudonym, record
from service.faults import Body
from service.http import INVALID, Service
from service.problems import problem_of
from service.questions import query_of, read_at_least, read_journey
from service.shapes import ITEMS_MAX, AtLeast, BatchShape, Item, JourneyShape, Shape
from service.sweep import EVERY, NOBODY, plain_allow, sweep

if TYPE_CHECKING:
    from roster.access import ApiKey
    from service.questions import Query
    from service.screening import Screening, Subject
    from service.sweep import Swept


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
Results = list[dict[str, Any] | msgspec.Raw]


async def answer_batch(service: Service, key: ApiKey, body: bytes) -> bytes:
    """The answers to a batch, in its order; raises what says that the whole is malformed."""
    arrived_s = boot_s()
    batch = _decode(body)
    read_at_least(batch.at_least)  # a malformed one is nobody's item's fault
    service.access.spend(key, len(batch.items))
    await service.desk.freshen()
    as_of_ms = service.screener.news.as_of_all_ms
    results: Results = [{}] * len(batch.items)
    swept = _sweep(service, batch, results)
    left = sorted(set(range(len(batch.items))).difference(swept.items))
    asked = await _decide(service, key, batch, left, results)
    about = swept.partitions | asked or EVERY
    said = {
        "fresh_as_of": format_ms(min(as_of_ms[number] for number in about)),
        "stale": service.screener.stale_since(arrived_s, about),
    }
    return _answer(results, said)


def _decode(body: bytes) -> Batch:
    """The batch; where one item is malformed, they are decoded one by one later."""
    try:
        return _typed_decoder.decode(body)
    except msgspec.ValidationError:
        return _batch_decoder.decode(body)


def _sweep(service: Service, batch: Batch, results: Results) -> Swept:
    """The items that are answered already: their travellers are surely on no list."""
    if not isinstance(batch, _Typed) or batch.journey is None or batch.at_least is not None:
        return NOBODY
    if isinstance(batch.journey.seat, list):
        return NOBODY
    try:
        journey = read_journey(batch.journey)
    except InvalidInput:
        return NOBODY
    swept = sweep(service.desk, batch.items, time.time_ns() // 1_000_000)
    cleared, items = swept.items, batch.items
    warned = warnings(journey, service.lists)
    for index, decision_id in zip(cleared, decision_ids(len(cleared)), strict=True):
        results[index] = plain_allow(items[index], decision_id, warned)
    service.counters.decided(journey.mode, "allow", count=len(cleared))
    return swept


async def _decide(
    service: Service, key: ApiKey, batch: Batch, left: list[int], results: Results
) -> set[int]:
    """Answer what is left, one by one; those who may be listed are looked up together.

    Returns the partitions that were asked about.
    """
    desk, now_s = service.desk, boot_s()
    about: set[int] = set()
    asked: dict[int, tuple[Query, Subject]] = {}
    for index in left:
        try:
            query = query_of(_item(batch.items[index]), batch)
            subject = desk.subject(query)
        except INVALID as exc:
            results[index] = {"error": problem_of(exc)}
            continue
        about.update(token[1] for token in (subject.token, *subject.others))
        screening = desk.clear_at_once(query, subject, now_s) or desk.clear(query, subject)
        if screening is None:
            asked[index] = query, subject
        else:
            results[index] = _result(service, key, query, screening)
    screenings = await desk.ask_all(list(asked.values()))
    for (index, (query, _)), screening in zip(asked.items(), screenings, strict=True):
        results[index] = _result(service, key, query, screening)
    return about


def _item(item: Item | msgspec.Raw) -> Item:
    return item if isinstance(item, Item) else _item_decoder.decode(item)


def _result(service: Service, key: ApiKey, query: Query, screening: Screening) -> dict[str, Any]:
    record(service, query, screening)
    return item_json(screening, query, pseudonym(service, key, screening), service.lists)


def _answer(results: Results, said: dict[str, Any]) -> bytes:
    """The whole answer; `said` is what it says for all items."""
    told = [result for result in results if isinstance(result, dict)]
    # The others are Raw: plain allows of people who were swept.
    counts = {"allow": len(results) - len(told), "deny": 0, "refer": 0, "error": 0}
    for result in told:
        counts[result.get("decision", "error")] += 1
    return _encode({"results": results, "counts": counts, **said})
