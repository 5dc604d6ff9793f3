"""Before Litestar: HEAD is as GET, no query parameter is overlooked, checks go their own way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from roster.errors import InvalidInput
from service.openapi.openapi import ROUTES
from service.routes.checks import HOT, check_routes
from service.web.bodies import send_whole
from service.web.faults import WORDS, listed
from service.web.problems import problem_bytes, with_head

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from litestar.types import ASGIApp, Receive, Scope, Send

_PAGES: dict[str, frozenset[str]] = {
    "/": frozenset({"lang"}),
    "/schema": frozenset(),
    "/schema/openapi.json": frozenset(),
}
_TAKEN = {("GET", path): taken for path, taken in _PAGES.items()} | {
    (route.method.upper(), route.path): frozenset(name for name, _, _ in route.parameters)
    for route in ROUTES
}
_ODD = ("HEAD", "OPTIONS")
_KEY_NAMES = frozenset({"access_token", "api-key", "api_key", "apikey", "authorization", "token"})
IN_URL = (
    "a key goes into the header Authorization: Bearer cw_..., never into an address, "
    "which logs keep: revoke it if it has been there"
)
_WORDS = WORDS.union(*_TAKEN.values())


class Front:
    """An ASGI application before the one that answers."""

    def __init__(self, app: ASGIApp) -> None:
        """`app` is that one; a plain request reaches it untouched."""
        self._app = app

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """What answers a request; a plain one is not even awaited here, as this costs 1 us."""
        asked: Any = scope  # a dict, whatever its declared kinds
        if asked["query_string"] or asked["method"] in _ODD:
            return self._odd(asked, receive, send)
        return self._plain(asked, receive, send)

    def _plain(self, scope: Any, receive: Receive, send: Send) -> Awaitable[None]:  # noqa: ANN401 -- ASGI's
        return (check_routes.fn if scope["path"] in HOT else self._app)(scope, receive, send)

    async def _odd(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        sender = send
        if scope["method"] == "HEAD":
            # The server's own scope still says HEAD, so that it sends no body either.
            scope, sender = {**scope, "method": "GET"}, _bodiless(send)
        elif scope["method"] == "OPTIONS":
            sender = _allowing(scope["path"], send)
        try:
            check_query(scope["method"], scope["path"], scope["query_string"])
        except InvalidInput as exc:
            await send_whole(sender, problem_bytes(exc))
            return
        await self._plain(scope, receive, sender)


def check_query(method: str, path: str, query: bytes) -> None:
    """Raise InvalidInput for a parameter that the route does not take, or takes once.

    It is named only where it is a word of ours: it may be a person's name or number.
    """
    taken = _TAKEN.get((method, path.rstrip("/") or "/"))
    if taken is None:  # a file, or nothing
        return
    seen: set[str] = set()
    for name, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True):
        if name not in taken and (name.lower() in _KEY_NAMES or value.startswith("cw_")):
            raise InvalidInput("query", IN_URL)
        if name not in taken:
            field = name if name in _WORDS else "query"
            there = listed(sorted(taken))
            raise InvalidInput(field, f"not a query parameter of this route: there are {there}")
        if name in seen:
            raise InvalidInput(name, "given more than once")
        seen.add(name)


def _bodiless(send: Send) -> Send:
    """Sends the head alone, also of a body that would come little by little: then that is all."""
    over = False

    async def send_head(message: Any) -> None:  # noqa: ANN401 -- ASGI's
        nonlocal over
        if over:
            return
        if message["type"] == "http.response.body":
            message, over = {**message, "body": b"", "more_body": False}, True
        await send(message)

    return send_head


def _allowing(path: str, send: Send) -> Send:
    """Tells all methods of the path: Litestar tells those of one handler, and no HEAD."""
    path = path.rstrip("/") or "/"
    ours = [method for method, taken in _TAKEN if taken == path]

    async def send_allowing(message: Any) -> None:  # noqa: ANN401 -- ASGI's
        if message["type"] == "http.response.start":
            headers = [
                (name, _joined(value, ours)) if name.lower() == b"allow" else (name, value)
                for name, value in message["headers"]
            ]
            message = {**message, "headers": headers}
        await send(message)

    return send_allowing


def _joined(allow: bytes, ours: list[str]) -> bytes:
    methods = dict.fromkeys([*ours, *allow.decode("latin-1").split(", ")])
    return with_head(", ".join(methods)).encode("latin-1")
