"""POST /v1/changes: changes applied, made safe, and told to every process."""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, get_args

import msgspec
from litestar import Request, Response, post

from roster.documents.spelling import trimmed
from roster.errors import InvalidBody, InvalidInput, NotDurable, Unavailable, WrongKey
from roster.parse_errors import complaint_of
from roster.records.bounds import LIST_MAX
from roster.records.entry import BIND, LIFT, Op, Outcome, State
from roster.records.position import Position, one_text, to_text
from roster.records.replies import Applied, Refusal
from roster.rules.restrictions import Lists
from roster.storage.api_keys import ApiKey
from roster.times import format_ms, now_ms
from service.changing.applying import Origin, Replies, whole
from service.changing.edit_faults import all_faults
from service.changing.edits import BINDS, Edit, EditReader
from service.parts import Service
from service.routes.change_records import changed, removed, unacknowledged
from service.web.auth import CANARY_KEY, known_caller, require
from service.web.bodies import INVALID, Body, json_response
from service.web.faults import FieldError
from service.web.problems import problem_of
from service.web.shapes import ChangeOp, ChangeShape, ChangesShape, ListName

TIMEOUT_MS = 2_000
"""How long `wait: all` waits where the request does not say."""
_body_decoder = Body(ChangesShape)
_change_decoder = Body(ChangeShape)
_ADDS = frozenset({"put", "resume", "bind", "reinstate"})
_NOTHING_STORED = FieldError("entry_id", "never listed: nothing is stored that could be put back")
_UNREAD = f"op or list cannot be read: op is one of {', '.join(get_args(ChangeOp))}"
_ENDS = frozenset({State.REMOVED, State.SUSPENDED})
_LISTED = frozenset({State.ACTIVE, State.SUSPENDED})
_OUTCOME_NAMES = {outcome: outcome.name.lower() for outcome in Outcome}
_STATE_NAMES = {state: state.name.lower() for state in State}
_BOUND_NAMES = dict.fromkeys(State, "removed") | {State.ACTIVE: "active"}
_HELD = 2
"""So many documents that name each other make a binding."""


class _ChangeHead(msgspec.Struct, frozen=True):
    """As much of a change as its scope needs, also where the rest is invalid."""

    op: ChangeOp
    list: ListName | None = None


_head_decoder = msgspec.json.Decoder(_ChangeHead)


@post("/v1/changes", status_code=200, guards=[known_caller])
async def post_changes(request: Request[Any, ApiKey, Any]) -> Response[bytes]:
    """Apply up to 1,000 changes; 200 means that they are safe."""
    service: Service = request.app.state.service
    received_at_ms = now_ms()
    body = _body_decoder.decode(await request.body(), _unread)
    edits, results = _read(service, request.auth, body.changes, received_at_ms)
    places, applier = service.places, service.applier
    revisions = places.guessed(edits, received_at_ms)
    try:
        edits = await places.placed(edits)
        revisions = await places.stated(edits)
        origin = Origin(request.auth.name, received_at_ms)
        changes = await applier.packed(edits, revisions, origin)
        try:
            replies = await applier.apply(list(edits.values()), changes)
        except NotDurable:
            unacknowledged(service, request.auth, edits, revisions)
            raise
        for (index, edit), each in zip(edits.items(), replies, strict=True):
            results[index] = _result(edit, each)
            _count(service, edit, each, received_at_ms)
        changed(service, request.auth, edits, results)
        reached = _positions(replies)
        if reached:
            service.screener.acknowledge(reached, _applied_ms(replies))
            on = _joining(edits.values(), replies)
            service.notifier.tell(reached, on, wanted=body.wait == "all")
        return json_response(await _answer(service, body, results, reached))
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
    reader = EditReader(service.tokeniser, service.lists, received_at_ms, canary=canary)
    edits: dict[int, Edit] = {}
    results: list[dict[str, Any]] = [{} for _ in changes]
    for index, head in enumerate(_heads(changes)):
        try:
            edit = _edit(reader, changes[index])
        except INVALID as exc:
            _require_scope(key, service.lists, head.op, head.list)
            results[index] = {"outcome": "rejected", "errors": problem_of(exc).errors}
            service.counters.changes[head.op, "rejected"] += 1
        else:
            _require_scope(key, service.lists, edit.shape.op, service.lists.name(edit.list))
            edits[index] = edit
    return edits, results


def _edit(reader: EditReader, change: msgspec.Raw) -> Edit:
    """A change's edit; raises InvalidBody with all that is wrong, as soon as anything is."""
    shape = _change_decoder.decode(change, partial(all_faults, reader))
    try:
        return reader.read(shape)
    except InvalidInput as exc:
        raise InvalidBody(all_faults(reader, shape, exc)) from None


def _positions(replies: Sequence[Replies]) -> list[Position]:
    """Where the roster stands for all that was applied."""
    return [reply.position for each in replies for reply in each if isinstance(reply, Applied)]


def _applied_ms(replies: Sequence[Replies]) -> int:
    """When the last of it was, by Redis' clock; 0 where nothing was."""
    at_ms = (
        reply.applied_at_ms for each in replies for reply in each if isinstance(reply, Applied)
    )
    return max(at_ms, default=0)


def _joining(edits: Iterable[Edit], replies: Iterable[Replies]) -> list[bytes]:
    """The tokens of the people whom these edits have left on a list."""
    return [
        token
        for edit, each in zip(edits, replies, strict=True)
        for token, reply in zip(edit.own, each, strict=False)
        if isinstance(reply, Applied) and reply.state in _LISTED
    ]


def _result(edit: Edit, replies: Replies) -> dict[str, Any]:
    """What the answer says of an edit."""
    if not whole(replies):
        reasons = dict.fromkeys(reply.value for reply in replies if isinstance(reply, Refusal))
        return {"outcome": "rejected", "errors": [FieldError("", reason) for reason in reasons]}
    if len(replies) == 1:  # as nearly all are; a third of the cost
        decisive = replies[0]
        outcome, position, at_ms = (
            decisive.outcome,
            one_text(decisive.position),
            decisive.applied_at_ms,
        )
    else:
        outcome, own = _outcome(edit, replies), replies[: len(edit.own)]
        decisive = next((reply for reply in own if reply.outcome is outcome), own[0])
        position = to_text([reply.position for reply in replies])
        at_ms = max(reply.applied_at_ms for reply in replies)
    if edit.shape.op == "reinstate" and _is_unknown(outcome, decisive.state):
        return {"outcome": "rejected", "errors": [_NOTHING_STORED]}
    names = _BOUND_NAMES if edit.list == BIND else _STATE_NAMES
    return {
        "outcome": _OUTCOME_NAMES[outcome],
        "was": names[decisive.was],
        "current": {"state": names[decisive.state], "revision": decisive.revision},
        "position": position,
        "applied_at": format_ms(at_ms),
    }


def _is_unknown(outcome: Outcome, state: State) -> bool:
    """Whether nothing is stored of an entry that was to be put back."""
    return outcome is Outcome.DUPLICATE and state not in _LISTED


def _outcome(edit: Edit, replies: Sequence[Applied]) -> Outcome:
    """The outcome over all of an edit's documents.

    A binding holds only while documents name each other: one that two of them do not hold
    has no effect, however new it is to a third.
    """
    own = replies[: len(edit.own)]
    best = min(reply.outcome for reply in own)
    if edit.list != BIND or edit.op is not Op.PUT or best is not Outcome.APPLIED:
        return best
    held = [
        reply for reply in own if reply.outcome <= Outcome.DUPLICATE and reply.state is State.ACTIVE
    ]
    return best if len(held) >= _HELD else Outcome.SUPERSEDED


def _count(service: Service, edit: Edit, replies: Replies, received_at_ms: int) -> None:
    """Count a removal that took effect, and how long it took."""
    first = replies[0]
    if not whole(replies) or isinstance(first, Refusal) or first.outcome is not Outcome.APPLIED:
        return
    ended = edit.op is Op.REMOVE and first.was not in _ENDS
    if not ended or edit.list >= LIFT:
        return
    decided = edit.decided_at_ms
    if decided is not None:
        service.counters.removed("source", max(0, first.applied_at_ms - decided))
    removed(service, edit, first.applied_at_ms)
    service.counters.removed("service", max(0, first.applied_at_ms - received_at_ms))


def _heads(changes: Sequence[msgspec.Raw]) -> list[_ChangeHead]:
    """What each change says that it would do; raises InvalidBody with all that cannot be read."""
    found, faults = _read_heads(changes)
    if faults:
        raise InvalidBody(faults)
    return found


def _unread(shape: ChangesShape) -> list[tuple[str, str]]:
    return _read_heads(shape.changes or ())[1]


def _read_heads(
    changes: Sequence[msgspec.Raw],
) -> tuple[list[_ChangeHead], list[tuple[str, str]]]:
    """What each change says that it would do, and what cannot be read.

    They are read as a whole change is: where a field stands twice, the last one counts. Only
    bindings need no list.
    """
    found: list[_ChangeHead] = []
    faults: list[tuple[str, str]] = []
    for index, raw in enumerate(changes):
        try:
            head = _head_decoder.decode(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
            faults.append((f"changes[{index}]{_blamed(exc)}", _UNREAD))
        else:
            found.append(head)
            name = trimmed(head.list or "")
            if len(name) > LIST_MAX or (head.op not in BINDS and not name):
                faults.append((f"changes[{index}].list", _UNREAD))
    return found, faults


def _blamed(exc: Exception) -> str:
    """The field to blame, of the two; empty where the change is no object at all."""
    complaint = complaint_of(exc)
    field = complaint.missing or "".join(map(str, complaint.path))
    return f".{field}" if field in {"op", "list"} else ""


def _require_scope(key: ApiKey, lists: Lists, op: str, name: str | None) -> None:
    """Raise Forbidden where the key may not do `op` on the list called `name`.

    The scope is that of the change as it would be applied: what is applied must never be more
    than the key's scopes allow. A `put` that replaces documents ends the same entry of the same
    list under these, so it needs `list:add` of that list and no more (docs/api.md, Calling).

    A list that there is not, and none, need a scope that is not narrowed; the refusal never
    repeats a name that is not one of ours.
    """
    name = trimmed(name or "")
    rule = lists.by_id(name)
    known = "bind" if op in BINDS else rule.id if rule else None
    if name == "lift":
        require(key, "list:lift")
    else:
        require(key, "list:add" if op in _ADDS else "list:remove", known)
