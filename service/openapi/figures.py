"""How the figures of GET /v1/roster look, for the OpenAPI document."""

from __future__ import annotations

import msgspec


class LagReply(msgspec.Struct, frozen=True):
    """Quantiles in milliseconds."""

    p50: float
    p99: float
    max: float


class LegsReply(msgspec.Struct, frozen=True):
    """Removals of the last 24 hours, by leg of their way."""

    source: LagReply
    service: LagReply
    count: int


class LagsReply(LegsReply, frozen=True):
    """All of them; those that came as changes, and those that loads have brought.

    `processes` is the canary's, until every process has its removal.
    """

    processes: LagReply
    changes: LegsReply
    loads: LegsReply


class AuditHead(msgspec.Struct, frozen=True):
    """How many blocks a process has written to the audit, and the hash of the last."""

    blocks: int
    head: str


class AuditFigures(msgspec.Struct, frozen=True):
    """What the answering process has said to the audit, in records."""

    written: int
    waiting: int
    lost: int


class ProcessReply(msgspec.Struct, frozen=True):
    """One live service process."""

    id: str
    host: str
    lag_ms: float
    fresh_as_of: str
    false_hit_rate: float
    build: str
    library: str
    audit: AuditHead
