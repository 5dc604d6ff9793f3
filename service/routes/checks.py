"""POST /v1/check and /v1/check/batch: from a request's head and body to its answer.

Nothing lies between: the server asks `respond_at_once` and `respond` itself, and a check of
somebody whom the filters clear is answered in the turn of the loop in which it came.
"""

import time
from collections.abc import Mapping
from typing import Any

import msgspec
from litestar import asgi
from litestar.exceptions import MethodNotAllowedException
from litestar.types import Receive, Scope, Send

from roster.errors import InvalidInput, TooMany
from roster.storage.api_keys import ApiKey
from roster.times import boot_s, format_ms
from service.deciding.answers import allowed_journey, answer_of, decision_id, plain_allow
from service.deciding.questions import query_faults, query_of
from service.parts import Service
from service.routes.batches import answer_batch, made_up_batch
from service.sandbox.sandbox import fresh_as_of
from service.web.auth import authorization, caller, require
from service.web.bodies import (
    COLON,
    JSON_HEADERS,
    Body,
    WholeResponse,
    body_of,
    repeats_a_field,
    send_whole,
)
from service.web.problems import problem_bytes
from service.web.shapes import Check

CHECK, BATCH = "/v1/check", "/v1/check/batch"
HOT = frozenset({CHECK, BATCH})
LEAST_NAMES = 4
"""A check has at least `document`, its `type` and `number`, and `journey`; and that has its own."""

_check_body = Body(Check)
_decode = msgspec.json.Decoder(Check).decode
_encode = msgspec.json.Encoder().encode


@asgi([CHECK, BATCH], copy_scope=False)
async def check_routes(scope: Scope, receive: Receive, send: Send) -> None:
    """Both, for whoever speaks ASGI."""
    service: Service = scope["litestar_app"].state.service
    await send_whole(send, await respond(service, scope, receive))


async def respond(service: Service, scope: Mapping[str, Any], receive: Receive) -> WholeResponse:
    """Status, headers and body of the answer to a request; never raises."""
    started = time.perf_counter()
    try:
        if scope["method"] != "POST":
            raise MethodNotAllowedException(headers={"allow": "POST"})  # noqa: TRY301 -- as if Litestar had
        key = await caller(service.access, scope)
        require(key, "check")
        body = await body_of(receive)
        many = scope["path"].rstrip("/") == BATCH
        if key.sandbox:
            return (
                200,
                JSON_HEADERS,
                await (made_up_batch if many else _made_up)(service, key, body),
            )
        answer = await (answer_batch if many else _answer_check)(service, key, body)
    except Exception as exc:  # noqa: BLE001 -- whatever it is, it is told
        return problem_bytes(exc)
    service.counters.durations.add(time.perf_counter() - started)
    return 200, JSON_HEADERS, answer


def respond_at_once(service: Service, scope: Mapping[str, Any], body: bytes) -> bytes | None:
    """The answer about somebody who is surely on no list, if nothing is wrong or to be waited for.

    Otherwise None, and nothing has happened: `respond` tells what.
    """
    started = time.perf_counter()
    key = service.access.known(authorization(scope["headers"]))
    if key is None or not key.allows("check"):
        return None
    answer = _answer_if_cleared(service, key, body)
    if answer is not None:
        service.counters.durations.add(time.perf_counter() - started)
    return answer


async def _answer_check(service: Service, key: ApiKey, body: bytes) -> bytes:
    return _answer_if_cleared(service, key, body) or await _answer_decided(service, key, body)


def _answer_if_cleared(service: Service, key: ApiKey, body: bytes) -> bytes | None:
    """What `_answer_decided` says where it need not wait; None where it has to, or refuses."""
    desk, news = service.desk, service.screener.news
    try:
        check = _decode(body)
        journey = allowed_journey(check.journey, service.lists)
        if body.count(COLON) != _names(check) + journey.names and repeats_a_field(body, check):
            return None
        token = None if check.at_least else desk.clear_at_once(check.document, boot_s())
        if token is None:
            return None
        service.access.spend(key, 1)
    except (InvalidInput, TooMany, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    service.screener.cleared += 1
    service.counters.decided(journey.mode, "allow")
    answer = plain_allow(check, journey, decision_id())
    answer.reasons = answer.allowed_instead = ()
    answer.position = service.screener.partitions[token[1]].position_text
    answer.fresh_as_of = format_ms(news.as_of_ms(token[1]))
    answer.stale = False
    return _encode(answer)


def _names(check: Check) -> int:
    """How many names stand in a check that says nothing twice, but for those of its journey."""
    document = check.document
    return (
        LEAST_NAMES
        + (document.issuer is not None)
        + (document.kind is not None)
        + (check.name is not None)
        + (check.reference is not None)
    )


async def _answer_decided(service: Service, key: ApiKey, body: bytes) -> bytes:
    query = query_of(_check_body.decode(body, query_faults))
    service.access.spend(key, 1)
    desk, screener = service.desk, service.screener
    traveller = desk.traveller(query)
    arrived_s = boot_s()
    screening = await desk.decide(query, traveller, arrived_s)
    service.counters.screened(query.journey.mode, screening.token, screening.verdict)
    answer = answer_of(screening, query, desk.pseudonym(key.id, screening), service.lists)
    service.audit.record_decision(key.id, query.journey.mode, screening, answer.decision_id)
    number = traveller.token[1]
    answer.fresh_as_of = format_ms(screener.news.as_of_ms(number))
    answer.stale = screening.stale or screener.stale_since(arrived_s, (number,))
    return _encode(answer)


async def _made_up(service: Service, key: ApiKey, body: bytes) -> bytes:
    """The answer about people who are made up: nothing is looked up, recorded or counted."""
    query, sandbox = query_of(_check_body.decode(body, query_faults)), service.sandbox
    service.access.spend(key, 1)
    await sandbox.admit([query.document])
    screening = sandbox.screen(query)
    answer = answer_of(screening, query, sandbox.pseudonym(key.id, screening), service.lists)
    answer.fresh_as_of = fresh_as_of(stale=screening.stale)
    answer.stale = screening.stale
    return _encode(answer)
