"""GET /v1/trend and GET /v1/key: what the status page draws, and what its key may do."""

from typing import Any

from litestar import Request, Response, get

from roster.storage.api_keys import ApiKey
from roster.times import format_ms, now_ms
from service.metrics.counters import LEGS
from service.openapi.trends import KeyAnswer, RemovalsReply, TrendAnswer
from service.upkeep import Upkeep
from service.web.auth import real_caller, scoped
from service.web.bodies import in_time, json_response


@get("/v1/trend", guards=[scoped("ops:read")])
async def get_trend(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Checks by ten seconds, removals by the hour."""
    async with in_time():
        return json_response(await trend_json(request.app.state.upkeep))


async def trend_json(upkeep: Upkeep) -> TrendAnswer:
    """The answer of `GET /v1/trend`; raises Unavailable."""
    hours = await upkeep.tallies.hourly(LEGS, now_ms())
    removals = [RemovalsReply(format_ms(at_ms), **lags) for at_ms, lags in hours.items()]
    return TrendAnswer(upkeep.service.audit.process, upkeep.trend.points, removals)


@get("/v1/key", guards=[real_caller])
async def get_key(request: Request[Any, ApiKey, Any]) -> Response[bytes]:
    """Which key this is."""
    key = request.auth
    expires_at = None if key.expires_ms is None else format_ms(key.expires_ms)
    return json_response(KeyAnswer(key.id, key.name, sorted(key.scopes), expires_at))
