"""How this process and the roster are doing: liveness, readiness, the roster's figures."""

from collections.abc import Mapping
from typing import Any

import msgspec
from litestar import Request, Response, get

from roster.build import build
from roster.redis.calls import library
from roster.redis.requirements import ServerFacts
from roster.storage.audit import late_counts
from roster.storage.counters import BY_CHANGE, BY_LOAD, LEGS, CounterStore, Lag
from roster.times import format_ms, now_ms
from service.audit.recorder import Recorder
from service.background.summary import RosterSummary, summarise
from service.upkeep import Upkeep
from service.web.auth import scoped
from service.web.bodies import in_time, json_response

NAMES = (
    *("durability", "replicas", "memory", "memory_policy", "listpack", "full_coverage"),
    *("unknown", "stale", "rewound", "unremembered", "list_disabled", "audit"),
    *("key_restored", "list_restored"),
)
"""Of what `degraded` may name; behind the last two stands which one."""
UNREAD = "which lists are loaded in full has not been read yet"


class Condition(msgspec.Struct, frozen=True):
    """Whether one thing that readiness needs is so, and what is the matter if not."""

    ok: bool
    detail: str = ""


@get("/healthz")
async def healthz() -> Response[bytes]:
    """200 while the process lives."""
    return json_response({"alive": True})


@get("/readyz")
async def readyz(request: Request[Any, Any, Any]) -> Response[bytes]:
    """200 where this process decides checks, else 503; and each condition by name."""
    state = readiness_json(request.app.state.upkeep)
    answer = json_response(state)
    if not state["ready"]:
        answer.status_code = 503
        answer.headers["retry-after"] = "1"
    return answer


@get("/v1/roster", guards=[scoped("ops:read")])
async def get_roster(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Counts, digest, positions, decisions so far, removal lag, processes."""
    async with in_time():
        return json_response(await roster_json(request.app.state.upkeep))


def readiness_json(upkeep: Upkeep) -> dict[str, Any]:
    """The answer of `GET /readyz`."""
    found = conditions(upkeep)
    ready = all(condition.ok for condition in found.values())
    return {"ready": ready, "conditions": found, "degraded": degraded(upkeep)} | code_json()


def conditions(upkeep: Upkeep) -> dict[str, Condition]:
    """What readiness needs."""
    service, screener = upkeep.service, upkeep.service.screener
    lacking = ", ".join(sorted(service.lists.name(code) for code in screener.lacking))
    return {
        "draining": _condition(not upkeep.draining, "this process is ending"),
        "loaded": _condition(screener.loaded, "the filters are not loaded yet"),
        "key": _condition(not screener.wrong_key, "the roster has another ID key or scheme"),
        "covered": _condition(
            not lacking, f"not fully loaded: {lacking}" if screener.loaded else UNREAD
        ),
        "lists": _condition(screener.lists_known, "which lists are disabled has not been read yet"),
        "news": _condition(
            not (screener.loaded and screener.news.all_expired), "no news from Redis for too long"
        ),
    }


def degraded(upkeep: Upkeep) -> list[str]:
    """What is not as it should be, though checks are answered."""
    screener = upkeep.service.screener
    own = {
        "unknown": not upkeep.facts_known,
        "stale": not screener.fresh,
        "rewound": screener.rewound,
        "unremembered": screener.unremembered,
        "list_disabled": bool(upkeep.service.desk.disabled),
        "audit": upkeep.service.audit.failing or bool(upkeep.service.audit.lost),
    }
    ended = upkeep.service.access.ended
    back = [f"key_restored:{name}" for name in sorted(ended.keys)]
    back += [f"list_restored:{name}" for name in sorted(ended.lists)]
    return [*upkeep.unsafe, *(name for name, found in own.items() if found), *back]


async def summary(upkeep: Upkeep) -> RosterSummary:
    """What the roster holds; raises Unavailable."""
    service = upkeep.service
    return summarise(
        await service.changes_store.metas(), service.lists, await upkeep.disabled.all()
    )


async def roster_json(upkeep: Upkeep) -> dict[str, Any]:
    """The answer of `GET /v1/roster`; raises Unavailable."""
    await upkeep.write_counts()
    answer: dict[str, Any] = msgspec.structs.asdict(await summary(upkeep))
    return answer | {
        **code_json(),
        "scheme": upkeep.service.store.scheme,
        "decisions": await upkeep.tallies.decisions(),
        "removal_lag_ms": await _lags_json(upkeep.tallies),
        "processes": [
            {
                "id": process.id,
                "host": process.host,
                "lag_ms": round(process.lag_ms, 1),
                "fresh_as_of": format_ms(process.fresh_as_of_ms),
                "false_hit_rate": round(process.false_hit_rate, 6),
                "build": process.build,
                "library": process.library,
                "audit": {"blocks": process.audit_blocks, "head": process.audit_head},
            }
            for process in await upkeep.service.processes.live()
        ],
        "audit": audit_json(upkeep.service.audit),
        "late_denials": late_json(await late_counts(upkeep.service.changes_store.nodes)),
        "last_loads": await upkeep.loaded.by_list(),
        "refused": await upkeep.loaded.refused(),
        "redis": [server_json(each) for each in upkeep.facts or ()],
    }


def server_json(facts: ServerFacts) -> dict[str, Any]:
    """What a Redis server said of itself a moment ago; 0 of `max_bytes` is no limit."""
    return {
        "address": facts.address,
        "kind": "valkey" if facts.valkey else "redis",
        "version": ".".join(map(str, facts.version)),
        "used_bytes": facts.used_bytes,
        "max_bytes": facts.max_bytes,
        "aof_bytes": facts.aof_bytes,
        "replicas": facts.replicas,
    }


def audit_json(audit: Recorder) -> dict[str, int]:
    """What this process has said to the audit, what is waiting to be written, and what is lost."""
    return {"written": audit.records, "waiting": audit.waiting, "lost": audit.lost}


def late_json(counts: Mapping[tuple[str, str], int]) -> dict[str, dict[str, int]]:
    """Denials that came too late, so far, by list and court."""
    shown: dict[str, dict[str, int]] = {}
    for (name, court), count in sorted(counts.items()):
        shown.setdefault(name, {})[court] = count
    return shown


def code_json() -> dict[str, str]:
    """Which code this process runs, and which functions it calls in Redis."""
    return {"build": build(), "library": library().name}


def _condition(ok: bool, detail: str) -> Condition:  # noqa: FBT001 -- what the condition is
    return Condition(ok, "" if ok else detail)


async def _lags_json(tallies: CounterStore) -> dict[str, Any]:
    """Of all removals; of those that came as changes; of those that loads have brought."""
    kinds = {"": "", "changes": BY_CHANGE, "loads": BY_LOAD}
    wanted = [before + leg for before in kinds.values() for leg in LEGS]
    lags = await tallies.lags([*wanted, "processes"], now_ms())
    told = {
        kind: {leg: _lag_json(lags[before + leg]) for leg in LEGS}
        | {"count": lags[f"{before}service"].count}
        for kind, before in kinds.items()
    }
    return told.pop("") | {"processes": _lag_json(lags["processes"])} | told


def _lag_json(lag: Lag) -> dict[str, float]:
    return {"p50": lag.p50, "p99": lag.p99, "max": lag.max}
