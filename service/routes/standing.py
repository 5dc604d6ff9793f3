"""POST /v1/standing: what a person may and may not ride, over all products."""

from collections.abc import Callable, Iterator
from typing import Any

from litestar import Request, Response, post

from roster.documents.identity import Token, normalise
from roster.errors import InvalidBody, Unavailable, Unreadable, WrongKey
from roster.records.audited import EntriesRead
from roster.records.position import to_text
from roster.rules import standing as rules
from roster.rules.verdict import Asked, Journey, Standing
from roster.storage.api_keys import ApiKey
from roster.times import read_time
from service.deciding.answers import standing_json
from service.deciding.person import read_person
from service.deciding.questions import Query
from service.parts import Service
from service.web.auth import scoped
from service.web.bodies import Body, json_response
from service.web.faults import gathered
from service.web.shapes import StandingShape

_decoder = Body(StandingShape)


@post("/v1/standing", status_code=200, guards=[scoped("standing", sandbox=True)])
async def standing(request: Request[Any, ApiKey, Any]) -> Response[bytes]:
    """What holds for one person on every product, and what has to end."""
    service: Service = request.app.state.service
    shape = _decoder.decode(await request.body(), _faults)
    departs_at_ms = _read_time(shape)
    if request.auth.sandbox:
        return json_response(await _made_up(service, shape, departs_at_ms))
    await service.desk.freshen()
    answer = await _standing(service, shape, departs_at_ms)
    named = any("entry_id" in reason for reason in answer["reasons"])
    if named or answer["forbidden"] or answer["remaining"]:
        token = service.desk.traveller(Query(shape.document, Journey("air"))).token
        service.audit.note(EntriesRead(request.auth.id, "standing", token), token)
    return json_response(answer)


async def _made_up(
    service: Service, shape: StandingShape, departs_at_ms: int | None
) -> dict[str, Any]:
    await service.sandbox.admit([shape.document])
    found, screening = service.sandbox.stand(shape.document, shape.name, departs_at_ms)
    return standing_json(found, service.desk.lists, screening.position, screening)


def _read_time(shape: StandingShape) -> int | None:
    """When the journey departs; raises InvalidBody with all that is wrong."""
    if found := list(_faults(shape)):
        raise InvalidBody(found)
    return read_time("departs_at", shape.departs_at)


def _faults(shape: StandingShape) -> Iterator[tuple[str, str]]:
    """All that is wrong beside its shape, also where the document is not there."""
    tries: list[Callable[[], object]] = [lambda: read_time("departs_at", shape.departs_at)]
    if shape.document is not None:
        tries.insert(0, lambda: normalise(shape.document))
    return gathered(tries)


async def _standing(
    service: Service, shape: StandingShape, departs_at_ms: int | None
) -> dict[str, Any]:
    desk = service.desk
    traveller = desk.traveller(Query(shape.document, Journey("air")))
    try:
        documents = (traveller.token, *traveller.others)
        known = await read_person(desk.lookups, documents, {})
    except (Unavailable, Unreadable):
        return _refer(service, "registry_unavailable", traveller.token)
    except WrongKey:
        return _refer(service, "not_covered", traveller.token)
    position = to_text(known.positions)
    undecided = desk.screener.is_expired(traveller.token[1]) or not desk.screener.lists_known
    doubt = desk.doubt(known) or ("stale" if undecided else None)
    if doubt:
        return _refer(service, doubt, traveller.token)
    names = None if shape.name is None else frozenset(desk.tokeniser.names(shape.name))
    asked = Asked(known.now_ms, departs_at_ms, names, traveller.valid, desk.disabled)
    return standing_json(rules.standing(known.entries, asked, desk.lists), desk.lists, position)


def _refer(service: Service, code: str, token: Token) -> dict[str, Any]:
    screening = service.desk.refer(code, token)
    found = Standing("refer", reasons=screening.verdict.reasons)
    return standing_json(found, service.desk.lists, screening.position, screening)
