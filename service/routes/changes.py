"""POST /v1/changes: changes applied, made safe, and told to every process."""

from collections.abc import Sequence
from typing import Any

import msgspec
from litestar import Request, Response, post

from roster.errors import NotDurable, Unavailable, WrongKey
from roster.records.entry import LIFT, Op, Outcome, State
from roster.records.position import Position, to_text
from roster.records.replies import Refusal
from roster.storage.api_keys import ApiKey
from service.changing.applying import (
    Fates,
    Stamp,
    applied_ms,
    apply,
    guessed,
    joining,
    packed,
    positions,
    result_json,
    stated,
    whole,
)
from service.changing.edit_faults import read_edit
from service.changing.edits import Edit, Reader, now_ms
from service.changing.places import placed
from service.parts import Service
from service.web.auth import CANARY_KEY, known_caller
from service.web.bodies import INVALID, answered
from service.web.faults import Body
from service.web.problems import problem_of
from service.web.rights import heads, require_scope
from service.web.shapes import ChangeShape, ChangesShape

TIMEOUT_MS = 2_000
"""How long `wait: all` waits where the request does not say."""
_body_decoder = Body(ChangesShape)
_change_decoder = Body(ChangeShape)
_ENDS = frozenset({State.REMOVED, State.SUSPENDED})


@post("/v1/changes", status_code=200, guards=[known_caller])
async def post_changes(request: Request[Any, ApiKey, Any]) -> Response[bytes]:
    """Apply up to 1,000 changes; 200 means that they are safe."""
    service: Service = request.app.state.service
    received_at_ms = now_ms()
    body = _body_decoder.decode(await request.body())
    edits, results = _read(service, request.auth, body.changes, received_at_ms)
    revisions = guessed(service, edits, received_at_ms)
    try:
        edits = await placed(service, edits)
        revisions = await stated(service, edits)
        stamp = Stamp(request.auth.name, received_at_ms)
        changes = await packed(service, edits, revisions, stamp)
        fates = await apply(service, list(edits.values()), changes)
        for (index, edit), each in zip(edits.items(), fates, strict=True):
            results[index] = result_json(edit, each)
            _count(service, edit, each, received_at_ms)
        reached = positions(fates)
        if reached:
            service.screener.acknowledge(reached, applied_ms(fates))
            on = joining(edits.values(), fates)
            service.teller.tell(reached, on, wanted=body.wait == "all")
        return answered(await _answer(service, body, results, reached))
    except (NotDurable, Unavailable, WrongKey) as exc:
        refused = type(exc)(*exc.args)
        refused.revisions = tuple(revisions.get(index, 0) for index in range(len(results)))
        raise refused from exc


async def _answer(
    service: Service, body: ChangesShape, results: list[dict[str, Any]], reached: list[Position]
) -> dict[str, Any]:
    """The answer to changes that are safe, once every process has them where that is waited for."""
    answer: dict[str, Any] = {"results": results, "position": to_text(reached)}
    if body.wait == "all":
        try:
            timeout_ms = body.timeout_ms or TIMEOUT_MS
            answer["processes"] = await service.confirmer.confirmed(reached, timeout_ms)
        except Unavailable as exc:
            raise NotDurable("which processes have applied it is not known") from exc
    return answer


def _read(
    service: Service, key: ApiKey, changes: Sequence[msgspec.Raw], received_at_ms: int
) -> tuple[dict[int, Edit], list[dict[str, Any]]]:
    """The valid edits by their place, and the results, those of invalid ones filled in.

    Raises InvalidBody, and Forbidden where the key lacks the scope of one change.
    """
    canary = key.id == CANARY_KEY
    reader = Reader(service.tokeniser, service.lists, received_at_ms, canary=canary)
    edits: dict[int, Edit] = {}
    results: list[dict[str, Any]] = [{} for _ in changes]
    for index, head in enumerate(heads(changes)):
        try:
            edit = read_edit(reader, _change_decoder.decode(changes[index]))
        except INVALID as exc:
            require_scope(key, service.lists, head.op, head.list)
            results[index] = {"outcome": "rejected", "errors": problem_of(exc).errors}
        else:
            require_scope(key, service.lists, edit.shape.op, service.lists.name(edit.list))
            edits[index] = edit
    return edits, results


def _count(service: Service, edit: Edit, fates: Fates, received_at_ms: int) -> None:
    """Count what took effect, and how long it took."""
    name, first = service.lists.name(edit.list), fates[0]
    if not whole(fates) or isinstance(first, Refusal) or first.outcome is not Outcome.APPLIED:
        return
    service.counters.changes[name, edit.shape.op] += 1
    ended = edit.op is Op.REMOVE and first.was not in _ENDS
    if not ended or edit.list >= LIFT:
        return
    decided = edit.decided_at_ms
    if decided is not None:
        service.counters.removed("source", max(0, first.applied_at_ms - decided))
    service.counters.removed("service", max(0, first.applied_at_ms - received_at_ms))
