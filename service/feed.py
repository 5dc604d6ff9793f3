"""GET /v1/changes: the log, as a long poll; pseudonyms for carriers, entries for maintainers."""

import asyncio
import time
from contextlib import suppress
from typing import Any

from litestar import Request, Response, get

from roster import keys
from roster.access import ApiKey
from roster.entry import CANARY, Op
from roster.errors import InvalidInput, LogTrimmed
from roster.identity import Token
from roster.position import Position, from_text, to_text
from roster.replies import LogEntry
from roster.times import format_ms
from service.answers import time_or_null
from service.auth import scoped
from service.entries import contents, op_name
from service.http import Service, answered

LIMIT_MAX = 1_000
WAIT_MAX_MS = 30_000
_PARAMETERS = {"after", "limit", "wait_ms"}

Cursor = dict[int, Position]


@get("/v1/changes", guards=[scoped("feed", "list:read")])
async def get_changes(request: Request[Any, ApiKey, Any]) -> Response[bytes]:
    """Changes after a position, in order for each person."""
    service: Service = request.app.state.service
    query = dict(request.query_params)
    if not set(query) <= _PARAMETERS:
        raise InvalidInput("query", "there are after, limit and wait_ms")
    limit = _number(query, "limit", 1, LIMIT_MAX, LIMIT_MAX)
    wait_ms = _number(query, "wait_ms", 0, WAIT_MAX_MS, 0)
    if query.get("after") == "now":
        return answered({"changes": [], "position": to_text((await _now(service)).values())})
    cursor = await _cursor(service, query.get("after"))
    full = request.auth.allows("list:read")
    entries = await _wait(service, cursor, (limit, full), wait_ms)
    changes = [await _shown(service, request.auth, entry, full=full) for entry in entries]
    return answered({"changes": changes, "position": to_text(cursor.values())})


def _number(query: dict[str, Any], name: str, least: int, most: int, default: int) -> int:
    text = query.get(name)
    if text is None:
        return default
    if not text.isdecimal() or not text.isascii() or not least <= int(text) <= most:
        raise InvalidInput(name, f"a whole number from {least} to {most}")
    return int(text)


async def _now(service: Service) -> Cursor:
    tails = await service.changes_store.tails(dict.fromkeys(range(keys.PARTITIONS)), {})
    return {number: tail.position for number, tail in tails.items()}


async def _cursor(service: Service, after: str | None) -> Cursor:
    """Where to read on in every partition; those that `after` lacks from the oldest kept."""
    known = {} if after is None else {p.partition: p for p in from_text(after)}
    lacking = [number for number in range(keys.PARTITIONS) if number not in known]
    return known | await _oldest(service, lacking)


async def _oldest(service: Service, partitions: list[int]) -> Cursor:
    """Just before the oldest entry that each log holds."""
    now = await _now(service) if partitions else {}
    found = await asyncio.gather(
        *(service.changes_store.oldest(each, now[each].history) for each in partitions)
    )
    return {number: oldest or now[number] for number, oldest in zip(partitions, found, strict=True)}


async def _wait(
    service: Service, cursor: Cursor, wanted: tuple[int, bool], wait_ms: int
) -> list[LogEntry]:
    """The next entries that may be shown; waits for one if there is none. Moves `cursor`.

    `wanted` is how many at most, and whether resets are shown.
    """
    limit, full = wanted
    deadline = time.monotonic() + wait_ms / 1000
    while True:
        news = service.follower.news()
        read = await _read(service, cursor, limit)
        entries = [entry for entry in read if _may_show(entry, full=full)]
        left_s = deadline - time.monotonic()
        if entries or (left_s <= 0 and not read):
            return entries
        if read:  # nothing of it is anybody's business: read on at once
            continue
        with suppress(TimeoutError):
            async with asyncio.timeout(min(left_s, 1.0)):
                await news.wait()


async def _read(service: Service, cursor: Cursor, limit: int) -> list[LogEntry]:
    tails = await service.changes_store.tails(dict(cursor), {}, limit)
    if not all(tail.continues for tail in tails.values()):
        raise LogTrimmed(to_text((await _oldest(service, list(range(keys.PARTITIONS)))).values()))
    taken: list[LogEntry] = []
    for number, tail in tails.items():
        part = tail.entries[: limit - len(taken)]
        taken += part
        if part:
            cursor[number] = part[-1].position
    return sorted(taken, key=lambda entry: entry.applied_at_ms)


def _may_show(entry: LogEntry, *, full: bool) -> bool:
    return entry.list != CANARY and (full or entry.op is not Op.RESET)


async def _shown(service: Service, key: ApiKey, entry: LogEntry, *, full: bool) -> dict[str, Any]:
    position = to_text([entry.position])
    if not full:
        token = Token(entry.token)
        return {"position": position, "subject": service.tokeniser.subject(key.id, token)}
    shown: dict[str, Any] = {
        "position": position,
        "op": op_name(entry.op, entry.list),
        "list": service.lists.name(entry.list),
        "revision": entry.revision,
        "applied_at": format_ms(entry.applied_at_ms),
    }
    if entry.op is Op.RESET:
        return shown
    content, provenance = await contents(service, entry)
    return shown | {
        "entry_id": content.entry_id,
        "token": entry.token.hex(),
        "reason": provenance.reason or None,
        "decided_at": time_or_null(provenance.decided_at_ms),
        "received_at": time_or_null(provenance.received_at_ms),
        "actor": provenance.actor,
    }
