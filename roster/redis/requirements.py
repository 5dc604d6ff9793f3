"""What a Redis server must be like for Clearway's promises to hold, and what one lacks."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from roster.errors import ServerUnfit

if TYPE_CHECKING:
    from collections.abc import Mapping

OLDEST = (7, 0, 0)
"""The first Redis with functions."""

FIRST_WITH_WAITAOF = (7, 2, 0)

LISTPACK_ENTRIES = 512
"""`hash-max-listpack-entries`: a bucket holds about 70 people at national size."""

LISTPACK_VALUE_BYTES = 8192
"""`hash-max-listpack-value`: a record of a person with dozens of entries still fits."""


class ServerFacts(msgspec.Struct, frozen=True):
    """What a server says of itself; an empty text or None is what it does not tell.

    `max_bytes` of its memory is 0 where it has no limit, `aof_bytes` where it has no such file.
    """

    valkey: bool
    version: tuple[int, int, int]
    aof: bool
    appendfsync: str
    maxmemory_policy: str
    listpack_entries: int | None
    listpack_value_bytes: int | None
    min_replicas: int | None
    min_replicas_max_lag_s: int | None
    replicas: int
    full: bool = False
    full_coverage: bool = False
    address: str = ""
    used_bytes: int = 0
    max_bytes: int = 0
    aof_bytes: int = 0

    @property
    def waitaof(self) -> bool:
        """Whether the server has WAITAOF; every Valkey comes from a Redis that had it."""
        return self.valkey or self.version >= FIRST_WITH_WAITAOF


def server_facts(
    info: Mapping[str, object], config: Mapping[object, object], address: str = ""
) -> ServerFacts:
    """The facts in the answers to INFO and CONFIG GET of the server at this address.

    `config` may be decoded or not, and empty where a provider refuses CONFIG.
    """
    settings = {_text(name): _text(value) for name, value in config.items()}
    used, most = (_number(info.get(name)) or 0 for name in ("used_memory", "maxmemory"))
    return ServerFacts(
        valkey="valkey_version" in info,
        version=_version(_text(info.get("valkey_version") or info.get("redis_version"))),
        aof=_number(info.get("aof_enabled")) == 1,
        appendfsync=settings.get("appendfsync", ""),
        maxmemory_policy=_text(info.get("maxmemory_policy")),
        listpack_entries=_number(settings.get("hash-max-listpack-entries")),
        listpack_value_bytes=_number(settings.get("hash-max-listpack-value")),
        min_replicas=_number(settings.get("min-replicas-to-write")),
        min_replicas_max_lag_s=_number(settings.get("min-replicas-max-lag")),
        replicas=_number(info.get("connected_slaves")) or 0,
        full_coverage=_number(info.get("cluster_enabled")) == 1
        and settings.get("cluster-require-full-coverage") == "yes",
        full=0 < most <= used,
        address=address,
        used_bytes=used,
        max_bytes=most,
        aof_bytes=_number(info.get("aof_current_size")) or 0,
    )


def require_version(facts: ServerFacts) -> None:
    """Raise ServerUnfit where the server cannot run Clearway at all."""
    if facts.version < OLDEST:
        found = ".".join(map(str, facts.version))
        raise ServerUnfit(f"the Redis server is {found}; Clearway needs Redis 7.0, or any Valkey")


def unfit(facts: ServerFacts, *, replicated: bool = False) -> list[str]:
    """The names of what is not as it should be, as `/readyz` lists them.

    `replicated` is true with Sentinel or a cluster: a cut-off primary must refuse there,
    so it needs `min-replicas-to-write`.
    """
    problems = {
        "version": facts.version < OLDEST,
        "durability": not _durable(facts) or (replicated and not _refuses_when_cut_off(facts)),
        "memory_policy": facts.maxmemory_policy != "noeviction",
        "memory": facts.full,
        "full_coverage": facts.full_coverage,
        "listpack": _below(facts.listpack_entries, LISTPACK_ENTRIES)
        or _below(facts.listpack_value_bytes, LISTPACK_VALUE_BYTES),
    }
    return [name for name, found in problems.items() if found]


def _durable(facts: ServerFacts) -> bool:
    """Without WAITAOF only `always` makes a change safe before it is answered."""
    safe = {"always", "everysec"} if facts.waitaof else {"always"}
    return facts.aof and facts.appendfsync in safe


def _refuses_when_cut_off(facts: ServerFacts) -> bool:
    return bool(facts.min_replicas) and bool(facts.min_replicas_max_lag_s)


def _below(value: int | None, least: int) -> bool:
    return value is not None and value < least


def _text(value: object) -> str:
    if value is None:
        return ""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _number(value: object) -> int | None:
    text = _text(value)
    return int(text) if text.isdecimal() else None


def _version(text: str) -> tuple[int, int, int]:
    """Major, minor and patch; zeros for what is not told."""
    numbers = [int(part) for part in re.findall(r"\d+", text)[:3]]
    major, minor, patch = (*numbers, 0, 0, 0)[:3]
    return major, minor, patch
