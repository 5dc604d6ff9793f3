"""GET /v1/live: readiness, figures and trends as they change, as server-sent events."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any
from urllib.parse import unquote

import msgspec
from litestar import Request, get
from litestar.exceptions import NotFoundException
from litestar.types import ASGIApp, Receive, Scope, Send

from roster.errors import ClearwayError, Unauthorised
from roster.storage.api_keys import ApiKey
from service.background.live import Figures, event
from service.feed.polls import until_gone
from service.routes.feed import whole_number
from service.routes.ops import readiness_json, roster_json
from service.routes.trend import trend_json
from service.upkeep import Upkeep
from service.web.auth import caller, scoped
from service.web.bodies import in_time, send_whole
from service.web.problems import problem_of

STREAM = "/v1/live"
FOR_MAX_MS = 3_600_000
FIGURES_EVERY_S, TREND_EVERY_S = 0.5, 10.0
HEADERS = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]
"""The last one asks a proxy to pass on each event as it comes."""


@get(STREAM, guards=[scoped("ops:read")])
async def get_live(request: Request[Any, ApiKey, Any]) -> ASGIApp:
    """Each kind of event once, or for as long as is asked for."""
    if unquote(request.scope["raw_path"]) != STREAM:  # else it would take a place in line
        raise NotFoundException
    upkeep: Upkeep = request.app.state.upkeep
    for_ms = whole_number(request.query_params, "for_ms", 0, FOR_MAX_MS, 0)
    found = sources(upkeep)
    if not for_ms:
        return partial(_whole, b"".join([await each.make() for each in found.values()]))

    async def stream(scope: Scope, receive: Receive, send: Send) -> None:
        with upkeep.live.opened(request.auth.id, found):
            await until_gone(_told(upkeep, for_ms / 1000, scope, send), receive)

    return stream


def sources(upkeep: Upkeep) -> dict[str, Figures]:
    """What a stream tells of, by name; what cannot be told now is a `problem`."""

    async def state() -> dict[str, Any]:
        return readiness_json(upkeep)

    told: dict[str, Callable[[], Awaitable[Any]]] = {
        "state": state,
        "roster": partial(roster_json, upkeep),
        "trend": partial(trend_json, upkeep),
    }
    made = {name: partial(_event, name, tell) for name, tell in told.items()}
    return {
        "state": Figures(made["state"], FIGURES_EVERY_S),
        "roster": Figures(made["roster"], FIGURES_EVERY_S, on_change=True),
        "trend": Figures(made["trend"], TREND_EVERY_S),
    }


async def _event(name: str, tell: Callable[[], Awaitable[Any]]) -> bytes:
    try:
        async with in_time():
            return event(name, msgspec.json.encode(await tell()))
    except ClearwayError as exc:
        problem = msgspec.to_builtins(problem_of(exc))
        return event("problem", msgspec.json.encode(problem | {"of": name}))


async def _whole(events: bytes, _: Scope, __: Receive, send: Send) -> None:
    await send_whole(send, (200, HEADERS, events))


async def _told(upkeep: Upkeep, for_s: float, scope: Scope, send: Send) -> None:
    """Tell what is new until the time is up, or the key has ended."""
    start: Any = {"type": "http.response.start", "status": 200, "headers": HEADERS}
    await send(start)
    with suppress(Unauthorised):
        async for events in upkeep.live.news(for_s):
            await caller(upkeep.service.access, scope)  # the key may have been revoked meanwhile
            await send({"type": "http.response.body", "body": events, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})
