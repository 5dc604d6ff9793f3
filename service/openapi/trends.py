"""What the answers look like that operators' figures over time, servers and keys are in."""

from __future__ import annotations

from typing import Literal

import msgspec

from roster.storage.counters import Lag
from service.background.trend import TrendPoint


class ServerReply(msgspec.Struct, frozen=True):
    """A Redis server, as it was some seconds ago; 0 of `max_bytes` is no limit."""

    address: str
    kind: Literal["valkey", "redis"]
    version: str
    used_bytes: int
    max_bytes: int
    aof_bytes: int
    replicas: int


class RemovalsReply(msgspec.Struct, frozen=True):
    """The removals of an hour, without what loads have brought, by leg of their way, in ms."""

    hour: str
    source: Lag
    service: Lag
    processes: Lag


class TrendAnswer(msgspec.Struct, frozen=True):
    """Checks of the answering process, and removals of all, over time."""

    process: str
    checks: list[TrendPoint]
    removals: list[RemovalsReply]


class KeyAnswer(msgspec.Struct, frozen=True):
    """Which key was sent, and what it may do."""

    id: str
    name: str
    scopes: list[str]
    expires_at: str | None
