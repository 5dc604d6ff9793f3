"""POST /v1/changes: changes applied, made safe, and told to every process."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import msgspec
from litestar import Request, Response, post

from roster.access import ApiKey
from roster.change import Change
from roster.entry import BIND, LIFT, Op, Outcome, State
from roster.errors import NotDurable, Unavailable
from roster.position import Position, to_text
from roster.record import split_record
from roster.replies import Applied
from roster.times import format_ms
from service.auth import CANARY_KEY, known_caller
from service.counters import Lag
from service.edits import Edit, Packer, Reader, now_ms
from service.faults import Body
from service.http import INVALID, Service, answered
from service.problems import problem_of
from service.rights import heads, require_scope
from service.shapes import ChangeShape, ChangesShape

CONFIRM_POLL_S = 0.002
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
    revisions = await _revisions(service, edits)
    packer = await _packer(service, edits, request.auth.name)
    changes = [packer.pack(edit, revisions[index], received_at_ms) for index, edit in edits.items()]
    retry_with = [revisions.get(index, 0) for index in range(len(results))]
    applied = await _apply(service, list(edits.values()), changes, retry_with)
    for (index, edit), outcome in zip(edits.items(), applied, strict=True):
        results[index] = _result(edit, outcome)
        _count(service, edit, outcome, received_at_ms)
    positions = [one.position for outcome in applied for one in outcome]
    answer: dict[str, Any] = {"results": results, "position": to_text(positions)}
    if positions:
        service.screener.acknowledge(positions)
        service.teller.tell(positions)
    if body.wait == "all":
        try:
            answer["processes"] = await _confirmed(
                service, positions, body.timeout_ms or TIMEOUT_MS
            )
        except Unavailable as exc:
            raise NotDurable(*map(str, retry_with)) from exc
    return answered(answer)


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
            edit = reader.read(_change_decoder.decode(changes[index]))
        except INVALID as exc:
            require_scope(key, service.lists, head.op, head.list)
            results[index] = {"outcome": "rejected", "errors": problem_of(exc).errors}
        else:
            require_scope(key, service.lists, edit.shape.op, service.lists.name(edit.list))
            edits[index] = edit
    return edits, results


async def _revisions(service: Service, edits: dict[int, Edit]) -> dict[int, int]:
    """Each edit's revision; one that states none is newer than now and than what is stored."""
    revisions = {index: edit.revision for index, edit in edits.items()}
    unstated = [index for index, revision in revisions.items() if not revision]
    if not unstated:
        return revisions
    tokens: list[tuple[bytes, dict[int, Position]]] = [
        (edits[index].own[0], {}) for index in unstated
    ]
    found = await service.changes_store.lookup(tokens, service.screener.high_water)
    latest: dict[tuple[bytes, int, bytes], int] = {}
    for index, one in zip(unstated, found, strict=True):
        edit = edits[index]
        entry_hash = service.tokeniser.entry_hash(edit.list, edit.content[0].entry_id)
        stored = [
            max(packed.registers)
            for packed in split_record(one.record)
            if (packed.list, packed.entry_hash) == (edit.list, entry_hash)
        ]
        # Two changes to one entry in one request follow each other.
        entry = edit.own[0], edit.list, entry_hash
        known = [latest.get(entry, 0), *stored]
        revisions[index] = latest[entry] = max(one.now_ms, max(known) + 1)
    return revisions


async def _packer(service: Service, edits: dict[int, Edit], actor: str) -> Packer:
    courts = {court for edit in edits.values() for court in edit.courts}
    await service.dictionary.intern(courts, service.wait)
    return Packer(service.tokeniser, service.dictionary.court_ids, actor)


async def _apply(
    service: Service, edits: list[Edit], changes: list[list[Change]], revisions: list[int]
) -> list[list[Applied]]:
    """What became of every edit's changes; raises NotDurable with the revisions to retry with.

    There is one revision for each change of the request, 0 for one that was rejected. The
    documents that an edit replaces are freed only when its own entry is safe: else a put
    that fails would free the person everywhere.
    """
    sizes = [len(edit.own) for edit in edits]
    try:
        own = await _send(service, [g[:n] for g, n in zip(changes, sizes, strict=True)])
        freed = await _send(service, [g[n:] for g, n in zip(changes, sizes, strict=True)])
    except (NotDurable, Unavailable) as exc:
        raise NotDurable(*map(str, revisions)) from exc
    return [mine + replaced for mine, replaced in zip(own, freed, strict=True)]


async def _send(service: Service, groups: list[list[Change]]) -> list[list[Applied]]:
    """What became of the changes of each group, all in one pipeline to each server."""
    flat = [change for group in groups for change in group]
    if not flat:
        return [[] for _ in groups]
    store = service.changes_store
    applied = iter(await store.apply(flat, service.wait, service.screener.high_water))
    return [[next(applied) for _ in group] for group in groups]


def _result(edit: Edit, applied: list[Applied]) -> dict[str, Any]:
    own = applied[: len(edit.own)]
    first = min(own, key=lambda one: one.outcome)
    return {
        "outcome": first.outcome.name.lower(),
        "was": _state_name(edit, first.was),
        "current": {"state": _state_name(edit, first.state), "revision": first.revision},
        "position": to_text([one.position for one in applied]),
        "applied_at": format_ms(max(one.applied_at_ms for one in applied)),
    }


def _state_name(edit: Edit, state: State) -> str:
    if edit.list == BIND and state is not State.ACTIVE:
        return "removed"
    return state.name.lower()


def _count(service: Service, edit: Edit, applied: list[Applied], received_at_ms: int) -> None:
    """Count what took effect, and how long it took."""
    first = applied[0]
    name = service.lists.name(edit.list)
    if first.outcome is not Outcome.APPLIED:
        return
    service.counters.changes[name, edit.shape.op] += 1
    ended = edit.op is Op.REMOVE and first.was not in _ENDS
    if not ended or edit.list >= LIFT:
        return
    decided = edit.decided_at_ms
    source_ms = None if decided is None else max(0, first.applied_at_ms - decided)
    service.counters.removed(Lag(source_ms, max(0, first.applied_at_ms - received_at_ms)))


async def _confirmed(
    service: Service, positions: list[Position], timeout_ms: int
) -> dict[str, list[str]]:
    """Which live processes have applied these positions, and which have not in time."""
    deadline = time.monotonic() + timeout_ms / 1000
    while True:
        live = await service.processes.live()
        missing = sorted(process.id for process in live if not process.has(positions))
        if not missing or time.monotonic() > deadline:
            confirmed = sorted({process.id for process in live} - set(missing))
            return {"confirmed": confirmed, "missing": missing}
        await asyncio.sleep(CONFIRM_POLL_S)
