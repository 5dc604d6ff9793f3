"""GET /v1/changes: the log, as a long poll; pseudonyms for carriers, entries for maintainers."""

from collections.abc import Mapping
from typing import Any

from litestar import Request, Response, get

from roster.errors import InvalidInput, PositionError
from roster.records.cursor import from_feed
from roster.storage.api_keys import ApiKey
from service.feed.pages import View
from service.feed.polls import Feed, FeedPoll, until_gone
from service.parts import Service
from service.web.auth import caller, scoped

LIMIT_MAX = 1_000
WAIT_MAX_MS = 30_000
_CLIENT_GONE = 499
"""What proxies log for it; nobody gets it."""


@get("/v1/changes", guards=[scoped("feed", "list:read")])
async def get_changes(request: Request[Any, ApiKey, Any]) -> Response[bytes]:
    """Changes after a position, in order for each person."""
    service: Service = request.app.state.service
    key, query = request.auth, request.query_params
    feed = service.feed
    view = View(
        whole_number(query, "limit", 1, LIMIT_MAX, LIMIT_MAX),
        None if key.allows("list:read") else key.id,
    )
    wait_ms = whole_number(query, "wait_ms", 0, WAIT_MAX_MS, 0)
    after = query.get("after")
    ask = None if after == "now" else FeedPoll(after, view, wait_ms)
    if ask and ask.after is not None:
        _check(feed, ask.after)
    with feed.opened(key.id):
        page = await until_gone(feed.poll(ask) if ask else feed.now(), request.receive)
    await caller(service.access, request.scope)  # the key may have been revoked meanwhile
    return Response(
        page.body if page else b"",
        status_code=200 if page else _CLIENT_GONE,
        media_type="application/json",
        headers={"cache-control": "no-store"},
    )


def _check(feed: Feed, after: str) -> None:
    """Raise InvalidInput where the feed has not given this position."""
    if feed.knows(after):
        return
    try:
        from_feed(after)
    except PositionError as exc:
        raise InvalidInput(
            "after",
            "not a position of the feed: it takes the `position` of a page or of a change that "
            "GET /v1/changes gave, or `now`",
        ) from exc


def whole_number(query: Mapping[str, Any], name: str, least: int, most: int, default: int) -> int:
    """The value of a query parameter; raises InvalidInput for one that is none in these bounds."""
    text = query.get(name)
    if text is None:
        return default
    if not text.isdecimal() or not text.isascii() or not least <= int(text) <= most:
        raise InvalidInput(name, f"a whole number from {least} to {most}")
    return int(text)
