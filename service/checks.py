"""POST /v1/check and /v1/check/batch: the hot path, as raw ASGI.

A Litestar handler costs 160 us a request, a raw one 20 (LIBRARIES.md 2).
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from litestar import asgi
from litestar.exceptions import MethodNotAllowedException
from litestar.types import Receive, Scope, Send

from roster.access import ApiKey
from roster.errors import InvalidInput
from roster.times import format_ms
from service.answers import answer_json, item_json
from service.auth import caller, require
from service.http import INVALID, Service, body_of, respond
from service.problems import problem_of
from service.questions import Query, read_at_least, read_journey
from service.screening import Screening
from service.shapes import BatchShape, Check, Item

_check_decoder = msgspec.json.Decoder(Check)
_batch_decoder = msgspec.json.Decoder(BatchShape)
_item_decoder = msgspec.json.Decoder(Item)
Answer = Callable[[Service, ApiKey, bytes], Awaitable[bytes]]
_encode = msgspec.json.Encoder().encode


@asgi("/v1/check", copy_scope=False)
async def check_route(scope: Scope, receive: Receive, send: Send) -> None:
    """One traveller, one journey."""
    await _serve(scope, receive, send, _one)


@asgi("/v1/check/batch", copy_scope=False)
async def batch_route(scope: Scope, receive: Receive, send: Send) -> None:
    """Up to 1,000 checks in one request, order kept."""
    await _serve(scope, receive, send, _many)


async def _serve(scope: Scope, receive: Receive, send: Send, answer: Answer) -> None:
    """Answer with what `answer` makes of the body; Litestar turns errors into problems."""
    started = time.perf_counter()
    if scope.get("method") != "POST":
        raise MethodNotAllowedException(headers={"allow": "POST"})
    service: Service = scope["litestar_app"].state.service
    key = await caller(service.access, scope)
    require(key, "check")
    body = await answer(service, key, await body_of(receive))
    service.counters.took(time.perf_counter() - started)
    await respond(send, body)


def query_of(shape: Check | Item, defaults: BatchShape | None = None) -> Query:
    """The query of a request, with what a batch says for all; raises InvalidInput."""
    journey, at_least = shape.journey, shape.at_least
    if defaults is not None:
        journey = journey or defaults.journey
        at_least = defaults.at_least if at_least is None else at_least
    if journey is None:
        raise InvalidInput("journey", "required here or in the batch")
    return Query(
        document=shape.document,
        journey=read_journey(journey),
        name=shape.name,
        at_least=read_at_least(at_least) if at_least else {},
        reference=shape.reference,
        several_seats=isinstance(journey.seat, list),
    )


async def _one(service: Service, key: ApiKey, body: bytes) -> bytes:
    query = query_of(_check_decoder.decode(body))
    service.access.spend(key, 1)
    desk = service.desk
    await desk.freshen()
    subject = desk.subject(query)
    screening = desk.clear(query, subject) or await desk.ask(query, subject)
    _count(service, query, screening)
    answer = answer_json(screening, query, _pseudonym(service, key, screening))
    answer["fresh_as_of"] = format_ms(service.screener.fresh_as_of_ms)
    answer["stale"] = screening.stale
    return _encode(answer)


async def _many(service: Service, key: ApiKey, body: bytes) -> bytes:
    batch = _batch_decoder.decode(body)
    service.access.spend(key, len(batch.items))
    await service.desk.freshen()
    results: list[Any] = [None] * len(batch.items)
    asked = {}
    for index, raw in enumerate(batch.items):
        try:
            query = query_of(_item_decoder.decode(raw), batch)
            subject = service.desk.subject(query)
        except INVALID as exc:
            results[index] = {"error": problem_of(exc)}
            continue
        screening = service.desk.clear(query, subject)
        if screening is None:
            asked[index] = (query, service.desk.ask(query, subject))
        else:
            results[index] = _item(service, key, query, screening)
    answers = await asyncio.gather(*(pending for _, pending in asked.values()))
    for (index, (query, _)), screening in zip(asked.items(), answers, strict=True):
        results[index] = _item(service, key, query, screening)
    return _batch(service, results)


def _item(service: Service, key: ApiKey, query: Query, screening: Screening) -> dict[str, Any]:
    _count(service, query, screening)
    return item_json(screening, query, _pseudonym(service, key, screening))


def _batch(service: Service, results: list[dict[str, Any]]) -> bytes:
    counts = {"allow": 0, "deny": 0, "refer": 0, "error": 0}
    for result in results:
        counts[result.get("decision", "error")] += 1
    return _encode(
        {
            "results": results,
            "counts": counts,
            "fresh_as_of": format_ms(service.screener.fresh_as_of_ms),
            "stale": not service.screener.fresh,
        }
    )


def _pseudonym(service: Service, key: ApiKey, screening: Screening) -> str | None:
    if not screening.on_roster:
        return None
    return service.desk.tokeniser.subject(key.id, screening.token)


def _count(service: Service, query: Query, screening: Screening) -> None:
    verdict = screening.verdict
    code = verdict.reasons[0].code if verdict.decision == "refer" else ""
    service.counters.decided(query.journey.mode, verdict.decision, code)
