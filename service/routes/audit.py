"""GET /v1/audit: who asked, what was answered, what was changed; or what proves it whole."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from litestar import Request, Response, get

from roster import keys
from roster.documents.spelling import trimmed
from roster.errors import InvalidInput, PositionError
from roster.records.audited import AuditKind, AuditRecord, ChainClosed, is_named
from roster.records.blocks import AuditBlock, Head, claimed, kinds_of, read
from roster.records.bounds import ENTRY_ID_MAX, too_long
from roster.storage.api_keys import ApiKey
from roster.storage.audit import SKEW_MS, StoredBlock
from roster.times import DAY_MS, LAST_MS, format_ms
from service.audit.chains import BlockReply, HeadReply
from service.audit.pages import AuditCursor, AuditRow, Search, cursor_of, page
from service.audit.shown import record_json
from service.deciding.answers import recorded_at
from service.parts import Service
from service.web.auth import scoped
from service.web.bodies import in_time, json_response

LIMIT_MAX = 1_000
LIMIT_DIGITS = 4
ID_MAX = 64
MARGIN_MS = 3_600_000
"""What is about to be forgotten is proved no more."""
_NOWHERE = AuditCursor()

RecordFilter = Callable[[AuditRecord], bool]


@get("/v1/audit", guards=[scoped("audit")])
async def get_audit(request: Request[Any, ApiKey, Any]) -> Response[bytes]:
    """Records in order of time, or with `verify` the blocks that they lie in."""
    service: Service = request.app.state.service
    query = request.query_params
    verify = _is_true(query, "verify")
    key = service.tokeniser.seal_key
    limit, after = _limit(query), _after(query, key)
    if verify:
        for name in ("decision", "entry", "key", "late"):
            if name in query:
                raise InvalidInput(name, "does not go with verify: all blocks are proved")
        async with in_time():
            return json_response(await _blocks(service, limit, after))
    search = _search(service, query, limit, after)
    if search is None:
        return json_response({"records": [], "next": None})
    async with in_time():
        found = await page(service.changes_store.nodes, search)
        await _learn_courts(service, [record for _, record, _ in found.rows])
    shown = [_shown(service, *each) for each in found.rows]
    return json_response({"records": shown, "next": _text(found.following, key)})


def _limit(query: Mapping[str, Any]) -> int:
    text = query.get("limit", str(LIMIT_MAX))
    spelled = len(text) <= LIMIT_DIGITS and text.isdecimal() and text.isascii()
    if not spelled or not 1 <= int(text) <= LIMIT_MAX:
        raise InvalidInput("limit", f"a whole number from 1 to {LIMIT_MAX}")
    return int(text)


def _after(query: Mapping[str, Any], key: bytes) -> AuditCursor:
    if "after" not in query:
        return _NOWHERE
    try:
        return cursor_of(query["after"], key)
    except PositionError as exc:
        raise InvalidInput("after", "not a `next` that GET /v1/audit gave") from exc


def _is_true(query: Mapping[str, Any], name: str) -> bool:
    text = query.get(name, "false")
    if text not in {"true", "false"}:
        raise InvalidInput(name, "true or false")
    return bool(text == "true")


def _text(cursor: AuditCursor | None, key: bytes) -> str | None:
    return None if cursor is None else cursor.text(key)


def _search(
    service: Service, query: Mapping[str, Any], limit: int, after: AuditCursor
) -> Search | None:
    """What is asked for; None where nothing can be found."""
    for name, most in (("decision", ID_MAX), ("entry", ENTRY_ID_MAX), ("key", ID_MAX)):
        if len(query.get(name, "")) > most:
            raise InvalidInput(name, too_long(most))
    needles, wanted = _wanted(query)
    mask = AuditKind.LATE.bit if _is_true(query, "late") else -1
    key = service.tokeniser.seal_key

    def rows(entry: StoredBlock) -> Iterable[AuditRow]:
        data = entry.data
        unlike = mask > 0 and not kinds_of(data) & mask
        if unlike or not all(each in data for each in needles):
            return []
        return _records(entry, key, mask, wanted)

    if "decision" not in query:
        return Search(range(keys.PARTITIONS), after, limit, rows)
    place = recorded_at(query["decision"])
    if place is None:
        return None
    begin = after if after != _NOWHERE else AuditCursor((max(0, place.ms - SKEW_MS), 0))
    if mask == AuditKind.LATE.bit:  # they are told when the removals come, weeks later
        return Search([place.partition], begin, limit, rows)
    stop_ms = place.ms + DAY_MS
    return Search([place.partition], begin, limit, rows, stop_ms, single=True)


def _wanted(query: Mapping[str, Any]) -> tuple[list[bytes], list[RecordFilter]]:
    """What a block of such records must have among its bytes, and what they are like."""
    needles: list[bytes] = []
    wanted: list[RecordFilter] = []
    place = recorded_at(query.get("decision", ""))
    if place is not None:
        needles.append(place.id)
        wanted.append(lambda record: getattr(record, "id", b"") == place.id)
    if "entry" in query:
        entry_id = trimmed(query["entry"])
        needles.append(entry_id.encode(errors="surrogatepass"))
        wanted.append(lambda record: _is_about(record, entry_id))
    if "key" in query:
        key_id = query["key"]
        needles.append(key_id.encode(errors="surrogatepass"))
        wanted.append(lambda record: getattr(record, "key", None) == key_id)
    return needles, wanted


def _is_about(record: AuditRecord, entry_id: str) -> bool:
    reasons = getattr(record, "reasons", ())
    own_entry_id = getattr(record, "entry_id", None)
    return own_entry_id == entry_id or any(each.entry_id == entry_id for each in reasons)


def _records(
    entry: StoredBlock, key: bytes, mask: int, wanted: list[RecordFilter]
) -> Iterable[AuditRow]:
    """The records of a block that are wanted; where it is no sound one, and all are, that."""
    try:
        block = read(entry.data, key, entry.partition)
        records = block.records()
    except ValueError:
        unsound = (entry.ms, *entry[:3], 0)
        return [] if wanted or mask > 0 else [(unsound, (entry.ms, None, None))]
    return [
        ((at_ms, *entry[:3], index), (at_ms, record, block))
        for index, (at_ms, record) in enumerate(records)
        if 1 << record.__struct_config__.tag & mask and all(each(record) for each in wanted)  # type: ignore[operator]
    ]


def _shown(
    service: Service, at_ms: int, record: AuditRecord | None, block: AuditBlock | None
) -> dict[str, Any]:
    if record is None or block is None:
        return {"kind": "damaged", "at": _time(at_ms)}
    return record_json(at_ms, record, block, service.dictionary.courts)


def _time(ms: int) -> str:
    """When a stream entry was written; some of what somebody has put in has no year to show."""
    return format_ms(min(ms, LAST_MS))


async def _learn_courts(service: Service, records: Iterable[AuditRecord | None]) -> None:
    """Learn the courts that other processes have named since, where one of these is not known."""
    known = service.dictionary.courts
    if not all(is_named(court, known) for record in records for court in _courts(record)):
        await service.dictionary.refresh()


def _courts(record: AuditRecord | None) -> list[bytes]:
    named = [record, *getattr(record, "reasons", ())]
    return [getattr(each, "court", b"") for each in named]


async def _blocks(service: Service, limit: int, after: AuditCursor) -> dict[str, Any]:
    """A page of blocks, and how far the chains of those that run had come before it was read."""
    heads = {
        process.id: _head(
            process.id, Head(process.audit_blocks, process.audit_head, process.audit_at_ms)
        )
        for process in await service.processes.live()
    }
    own = service.audit
    heads[own.process] = _head(own.process, own.head)
    store = service.changes_store
    now_ms = (await store.tails({0: None}, {}))[0].now_ms
    kept_ms = max(0, now_ms - service.settings.audit_days * DAY_MS + MARGIN_MS)
    key = service.tokeniser.seal_key

    def rows(entry: StoredBlock) -> Iterable[AuditRow]:
        return [((entry.ms, entry.partition, entry.seq), _block(entry, key))]

    found = await page(store.nodes, Search(range(keys.PARTITIONS), after, limit, rows))
    return {
        "blocks": found.rows,
        "heads": list(heads.values()),
        "kept_from": format_ms(kept_ms),
        "next": _text(found.following, key),
    }


def _head(process: str, head: Head) -> HeadReply:
    at = format_ms(head.at_ms) if head.at_ms else ""
    return HeadReply(process, head.blocks, head.tag, at)


def _block(entry: StoredBlock, key: bytes) -> BlockReply:
    written_at = _time(entry.ms)
    try:
        if entry.ms > LAST_MS:
            raise ValueError("written after the year 9999")  # noqa: TRY301 -- told as the others
        block = read(entry.data, key, entry.partition)
        closing = [each for _, each in block.records() if isinstance(each, ChainClosed)]
    except ValueError as exc:
        process, number = claimed(entry.data) or (None, None)
        return BlockReply(
            partition=entry.partition,
            written_at=written_at,
            process=process,
            number=number,
            fault=str(exc),
        )
    return BlockReply(
        partition=block.partition,
        written_at=written_at,
        process=block.process,
        number=block.number,
        seq=block.seq,
        at=format_ms(block.at_ms),
        records=block.size,
        before_partition=block.before_partition,
        before_at=format_ms(block.before_ms),
        before=block.before.hex(),
        tag=block.tag.hex(),
        closes=list(closing[0].blocks) if closing else None,
    )
