"""POST /v1/entries/find and /v1/entries/history: what is known of a document, and was."""

import heapq
from collections.abc import Iterator, Mapping
from typing import Any, get_args

from litestar import Request, Response, post

from roster.documents.doubts import doubt_of
from roster.documents.identity import Document, Token, normalise
from roster.documents.names import NameCheck, compare
from roster.documents.spelling import trimmed
from roster.errors import InvalidBody, Unavailable
from roster.records.audited import EntriesRead
from roster.records.bounds import ENTRY_ID_MAX, LIST_MAX, RemovalReason, too_long
from roster.records.content import unpack_content
from roster.records.entry import BIND, RESTRICTIVE_STATES, Content, Provenance, State
from roster.records.position import to_text
from roster.records.record import load_of, readable, split_record, unpack_provenance
from roster.records.replies import Found, LogEntry
from roster.storage.api_keys import ApiKey
from roster.storage.histories import histories
from roster.times import DAY_MS, beijing_day, format_ms, now_ms
from service.deciding.answers import op_name, time_or_null
from service.parts import Service
from service.web.auth import scoped
from service.web.bodies import READ_TIMEOUT_S, Body, in_time, json_response
from service.web.faults import gathered
from service.web.shapes import FindShape, HistoryShape

_REMOVED = frozenset(get_args(RemovalReason))
_find_decoder = Body(FindShape)
_history_decoder = Body(HistoryShape)


@post("/v1/entries/find", status_code=200, guards=[scoped("list:read")])
async def find(request: Request[Any, ApiKey, Any]) -> Response[bytes]:
    """All entries of a document, tombstones too, and why it can be none."""
    service: Service = request.app.state.service
    shape = _find_decoder.decode(await request.body(), _faults)
    async with in_time():
        looked = await _looked(service, shape.document)
        _note(service, request.auth, "find", looked)
        with readable():
            split = (each for found in looked.values() for each in split_record(found.record))
            named = {load_of(each.provenance) for each in split}
        await service.dictionary.learn_loads(named)
        entries = [
            entry
            for found in looked.values()
            for entry in await service.dictionary.entries(found.record, READ_TIMEOUT_S)
        ]
    with readable():
        shown = [
            {
                "list": service.lists.name(entry.list),
                "entry_id": entry.content.entry_id,
                **_state(entry.list, entry.state, entry.registers.revision),
                **content_json(entry.content, entry.provenance, entry.state),
                **_name_check(service, shape.name, entry.content),
            }
            for entry in entries
        ]
    covered = service.screener.covered
    loaded = [rule.id for rule in service.lists.restricting if rule.code in covered]
    return json_response(
        {
            "entries": shown,
            "loaded": loaded,
            "doubt": doubt_of(shape.document, beijing_day(now_ms())),
            "position": _position(looked),
        }
    )


@post("/v1/entries/history", status_code=200, guards=[scoped("list:read")])
async def history(request: Request[Any, ApiKey, Any]) -> Response[bytes]:
    """What happened to a document's entries, oldest first."""
    service: Service = request.app.state.service
    shape = _history_decoder.decode(await request.body(), _faults)
    if found := list(_faults(shape)):
        raise InvalidBody(found)
    async with in_time():
        looked = await _looked(service, shape.document)
        _note(service, request.auth, "history", looked)
        with readable():
            by_token = await histories(service.changes_store, list(looked))
    events = list(heapq.merge(*by_token, key=_when))
    since_ms = max(found.now_ms for found in looked.values()) - service.settings.audit_days * DAY_MS
    with readable():
        recent = [
            await event_json(service, event) for event in events if event.applied_at_ms >= since_ms
        ]
    shown = [
        event
        for event in recent
        if shape.list in (None, event["list"])
        and shape.entry_id in (None, trimmed(event["entry_id"]))
    ]
    return json_response({"history": shown, "position": _position(looked)})


def _note(service: Service, key: ApiKey, what: str, looked: Mapping[Token, Found]) -> None:
    """Record who read what there is of these tokens."""
    for token in looked:
        service.audit.note(EntriesRead(key.id, what, token), token)


async def _looked(service: Service, document: Document) -> dict[Token, Found]:
    """What is stored under the document's own token, and under others that it may have."""
    own = token_of(service, document)
    tokens = [own, *service.tokeniser.others(document)]
    both = zip(tokens, await service.places.found(tokens), strict=True)
    return {token: each for token, each in both if token == own or each.record}


def _name_check(service: Service, name: str | None, content: Content) -> dict[str, NameCheck]:
    """Whether the name is the entry's, where one is asked about: nobody can read what is stored."""
    if name is None:
        return {}
    return {"name_check": compare(service.tokeniser.names(name), content.names)}


def _position(looked: Mapping[Token, Found]) -> str:
    return to_text([found.position for found in looked.values()])


def _faults(shape: FindShape | HistoryShape) -> Iterator[tuple[str, str]]:
    """All that is wrong beside its shape, also where the document is not there."""
    if shape.document is not None:
        yield from gathered([lambda: normalise(shape.document, beijing_day(now_ms()))])
    for field, limit in (("list", LIST_MAX), ("entry_id", ENTRY_ID_MAX)):
        if len(getattr(shape, field, None) or "") > limit:
            yield field, too_long(limit)


def _when(event: LogEntry) -> int:
    return event.applied_at_ms


def token_of(service: Service, document: Document) -> Token:
    """The document's token; raises InvalidInput."""
    day = beijing_day(now_ms())
    return service.tokeniser.token(normalise(document, day).number)


async def contents(service: Service, event: LogEntry) -> tuple[Content, Provenance]:
    """A log entry's content and provenance; what is not known yet is read first."""
    dictionary = service.dictionary
    await dictionary.learn_loads([load_of(event.provenance)])
    try:
        content = unpack_content(event.content, dictionary.courts)
    except KeyError:
        await dictionary.refresh()
        try:
            content = unpack_content(event.content, dictionary.courts)
        except KeyError as exc:
            raise Unavailable("Redis has lost the name of a court") from exc
    return content, unpack_provenance(event.provenance, dictionary.loads)


async def event_json(service: Service, event: LogEntry) -> dict[str, Any]:
    """One thing that happened to an entry."""
    content, provenance = await contents(service, event)
    return {
        "op": op_name(event.op, event.list),
        "list": service.lists.name(event.list),
        "entry_id": content.entry_id,
        **_state(event.list, event.state, event.revision),
        **content_json(content, provenance, event.state),
        "applied_at": format_ms(event.applied_at_ms),
    }


def content_json(content: Content, provenance: Provenance, state: State) -> dict[str, Any]:
    """What an entry says and where it came from.

    Why one was removed says nothing of one that is on its list: of those that they put back, undoes
    of older versions wrote `error`.
    """
    listed = state.name.lower() in RESTRICTIVE_STATES
    reason = "" if listed and provenance.reason in _REMOVED else provenance.reason
    return {
        "reason": reason or None,
        "from": time_or_null(content.from_ms),
        "until": time_or_null(content.until_ms),
        "case": content.case,
        "court": content.court,
        "modes": list(content.modes),
        "decided_at": time_or_null(provenance.decided_at_ms),
        "received_at": time_or_null(provenance.received_at_ms),
        "applied_at": time_or_null(provenance.applied_at_ms),
        "source": provenance.source,
        "actor": provenance.actor,
    }


def _state(code: int, state: State, revision: int) -> dict[str, Any]:
    name = "removed" if code == BIND and state is not State.ACTIVE else state.name.lower()
    return {"state": name, "revision": revision}
