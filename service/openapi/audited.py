"""What the answers of GET /v1/audit look like, for the OpenAPI document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from roster.rules.restrictions import Mode
from service.audit.chains import BlockReply, HeadReply
from service.openapi.documented import EntryOp, OutcomeName, ReasonCode, Reply

RecordKind = Literal[
    "decision", "change", "read", "key", "list", "accept", "restored", "load", "late_denial",
    "lost", "closed", "damaged",
]  # fmt: skip


class GroundsReply(Reply, frozen=True):
    """Why a check was not allowed: a code, and the entry."""

    code: ReasonCode
    list: str | None = None
    entry_id: str | None = None
    court: str | None = None


class RecordReply(Reply, frozen=True):
    """A record of the audit; which fields it has follows from its kind."""

    kind: RecordKind
    at: str
    process: str | None = None
    key: str | None = None
    who: str | None = None
    what: str | None = None
    decision_id: str | None = None
    mode: Mode | None = None
    decision: Literal["deny", "refer"] | None = None
    reasons: Sequence[GroundsReply] = ()
    position: str | None = None
    token: str | None = None
    tokens: Sequence[str] = ()
    op: EntryOp | None = None
    list: str | None = None
    entry_id: str | None = None
    revision: int | None = None
    reason: str | None = None
    outcome: OutcomeName | Literal["unacknowledged"] | None = None
    court: str | None = None
    decided_at: str | None = None
    denied_at: str | None = None
    applied_at: str | None = None
    name: str | None = None
    scopes: Sequence[str] = ()
    people: int | None = None
    partitions: int | None = None
    stage: Literal["begun", "completed"] | None = None
    load: int | None = None
    lists: Sequence[str] = ()
    as_of: str | None = None
    files: Sequence[dict[str, str]] = ()
    did: dict[str, dict[str, int]] | None = None
    undoes: int | None = None
    records: int | None = None
    from_: str | None = msgspec.field(name="from", default=None)
    until: str | None = None


class AuditAnswer(Reply, frozen=True):
    """Records in order of time; with `verify` blocks instead, and what the chains are held to."""

    records: Sequence[RecordReply] = ()
    blocks: Sequence[BlockReply] = ()
    heads: Sequence[HeadReply] = ()
    kept_from: str | None = None
    next: str | None = None
