"""POST /v1/check and /v1/check/batch: the hot path, as raw ASGI.

A Litestar handler costs 160 us a request, a raw one 20 (LIBRARIES.md 2).
"""

import time
from collections.abc import Awaitable, Callable

import msgspec
from litestar import asgi
from litestar.exceptions import MethodNotAllowedException
from litestar.types import Receive, Scope, Send

from roster.access import ApiKey
from roster.clock import boot_s
from roster.times import format_ms
from service.answers import answer_json, pseudonym, record
from service.auth import caller, require
from service.batches import answer_batch
from service.faults import Body
from service.http import Service, body_of, respond
from service.questions import query_of
from service.shapes import Check

_check_decoder = Body(Check)
Answer = Callable[[Service, ApiKey, bytes], Awaitable[bytes]]
_encode = msgspec.json.Encoder().encode


@asgi("/v1/check", copy_scope=False)
async def check_route(scope: Scope, receive: Receive, send: Send) -> None:
    """One traveller, one journey."""
    await _serve(scope, receive, send, _one)


@asgi("/v1/check/batch", copy_scope=False)
async def batch_route(scope: Scope, receive: Receive, send: Send) -> None:
    """Up to 1,000 checks in one request, order kept."""
    await _serve(scope, receive, send, answer_batch)


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


async def _one(service: Service, key: ApiKey, body: bytes) -> bytes:
    query = query_of(_check_decoder.decode(body))
    service.access.spend(key, 1)
    desk = service.desk
    subject = desk.subject(query)
    arrived_s = boot_s()
    at_once = desk.clear_at_once(query, subject, arrived_s)
    screening = at_once or await desk.decide(query, subject, arrived_s)
    record(service, query, screening)
    answer = answer_json(screening, query, pseudonym(service, key, screening), service.lists)
    screener, number = service.screener, subject.token[1]
    answer["fresh_as_of"] = format_ms(screener.news.as_of_ms(number))
    answer["stale"] = at_once is None and (
        screening.stale or screener.stale_since(arrived_s, (number,))
    )
    return _encode(answer)
