"""What answers look like, for the OpenAPI document; clients ignore fields they do not know."""

from __future__ import annotations

from typing import Literal

import msgspec

from roster.documents.doubts import Doubt
from roster.documents.names import NameCheck
from roster.rules.restrictions import Mode
from roster.rules.verdict import Decision, StandingWord, Warned
from service.background.loaded import LastLoad, LastRefused
from service.background.summary import ListSummary
from service.openapi.figures import AuditFigures, LagsReply, ProcessReply
from service.openapi.trends import ServerReply
from service.web.faults import FieldError
from service.web.problems import Problem

StateName = Literal["unknown", "active", "suspended", "removed", "absent"]
OutcomeName = Literal["applied", "duplicate", "superseded", "unseen", "rejected"]
ReasonCode = Literal[
    "listed", "lifted", "cleared", "name_mismatch", "document_invalid", "product_unknown",
    "list_disabled", "rewound", "too_many_documents", "registry_unavailable", "not_covered",
    "stale",
]  # fmt: skip
EntryOp = Literal["put", "remove", "suspend", "resume", "bind", "unbind", "absent", "reset"]


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """An answer, or a part of one."""


class ReasonReply(Reply, frozen=True):
    """Why: a code, and the entry that it rests on where there is one."""

    code: ReasonCode
    list: str | None = None
    entry_id: str | None = None
    case: str | None = None
    court: str | None = None
    from_: str | None = msgspec.field(name="from", default=None)
    until: str | None = None
    contact: str | None = None
    last_known: Literal["clear", "possible"] | None = None
    retry_after_ms: int | None = None


class ProductReply(Reply, frozen=True):
    """Places that are answered alike: each of `seats` on each of `trains`, or `cabins`.

    `"*"` among `trains` is every train but those whose letter is in `except_trains`: these have
    a rule of their own, and are in other products or in none.
    """

    mode: Mode
    trains: list[str] = []
    except_trains: list[str] = []
    seats: list[str] = []
    cabins: list[str] = []


class Answer(Reply, frozen=True):
    """The answer to one check; `subject` is there for people on the roster."""

    decision: Decision
    reasons: list[ReasonReply]
    allowed_instead: list[ProductReply]
    decision_id: str
    fresh_as_of: str
    stale: bool
    position: str
    seats: dict[str, Decision] | None = None
    name_check: NameCheck | None = None
    subject: str | None = None
    reference: str | None = None
    warnings: list[Warned] = []


class ItemAnswer(Reply, frozen=True):
    """One of a batch: an answer without empty fields, or the problem with this check."""

    decision: Decision | None = None
    reasons: list[ReasonReply] = []
    allowed_instead: list[ProductReply] = []
    decision_id: str | None = None
    position: str | None = None
    seats: dict[str, Decision] | None = None
    name_check: NameCheck | None = None
    subject: str | None = None
    reference: str | None = None
    warnings: list[Warned] = []
    error: Problem | None = None


class BatchAnswer(Reply, frozen=True):
    """The answers to a batch, in its order."""

    results: list[ItemAnswer]
    counts: dict[str, int]
    fresh_as_of: str
    stale: bool


class RemainingReply(Reply, frozen=True):
    """An entry that has to end before the person is free."""

    list: str
    entry_id: str
    case: str
    court: str
    until: str | None
    contact: str


class StandingAnswer(Reply, frozen=True):
    """What a person may and may not ride."""

    standing: StandingWord
    forbidden: list[ProductReply]
    permitted: list[ProductReply]
    reasons: list[ReasonReply]
    remaining: list[RemainingReply]
    position: str


class Current(Reply, frozen=True):
    """An entry as it is now."""

    state: StateName
    revision: int


class ChangeAnswer(Reply, frozen=True):
    """What one change amounted to; a rejected one has `errors` only."""

    outcome: OutcomeName
    was: StateName | None = None
    current: Current | None = None
    position: str | None = None
    applied_at: str | None = None
    errors: list[FieldError] = []


class Confirmation(Reply, frozen=True):
    """Which live processes have applied the changes, with `wait: all`."""

    confirmed: list[str]
    missing: list[str]


class ChangesAnswer(Reply, frozen=True):
    """What became of every change, in order; `position` covers all."""

    results: list[ChangeAnswer]
    position: str
    processes: Confirmation | None = None


class Logged(Reply, frozen=True):
    """One change as the log has it; with `feed` only position and subject."""

    position: str
    subject: str | None = None
    op: EntryOp | None = None
    list: str | None = None
    entry_id: str | None = None
    token: str | None = None
    revision: int | None = None
    reason: str | None = None
    decided_at: str | None = None
    received_at: str | None = None
    applied_at: str | None = None
    actor: str | None = None


class LogAnswer(Reply, frozen=True):
    """A stretch of the log, and where to go on."""

    changes: list[Logged]
    position: str


class EntryReply(Reply, frozen=True):
    """One entry of a document, or one thing that happened to it."""

    list: str
    entry_id: str
    revision: int
    state: StateName | None = None
    op: EntryOp | None = None
    reason: str | None = None
    from_: str | None = msgspec.field(name="from", default=None)
    until: str | None = None
    case: str | None = None
    court: str | None = None
    modes: tuple[Mode, ...] = ()
    decided_at: str | None = None
    received_at: str | None = None
    applied_at: str | None = None
    source: str | None = None
    actor: str | None = None
    name_check: NameCheck | None = None


class FindAnswer(Reply, frozen=True):
    """All entries of a document, tombstones too; `loaded` are the lists that are fully loaded.

    Where a name was sent each entry has `name_check`, whether it is the entry's.
    `doubt` says why the number can be no such document's, where it cannot.
    """

    entries: list[EntryReply]
    loaded: list[str]
    doubt: Doubt | None
    position: str


class HistoryAnswer(Reply, frozen=True):
    """What happened to a document's entries, oldest first."""

    history: list[EntryReply]
    position: str


class RosterAnswer(Reply, frozen=True):
    """Counts, digest, positions, decisions so far, removal lag, processes."""

    people: int
    entries: dict[str, int]
    ever_listed: int
    lists: dict[str, ListSummary]
    digest: str
    position: str
    rewound: int
    load_as_of_after: dict[str, str]
    decisions: dict[Mode, dict[Decision, int]]
    removal_lag_ms: LagsReply
    processes: list[ProcessReply]
    build: str
    library: str
    scheme: int
    audit: AuditFigures
    late_denials: dict[str, dict[str, int]]
    last_loads: dict[str, LastLoad]
    refused: dict[str, LastRefused]
    redis: list[ServerReply]


class ConditionReply(Reply, frozen=True):
    """Whether something that readiness needs is so."""

    ok: bool
    detail: str


class ReadyAnswer(Reply, frozen=True):
    """Whether this process decides checks, each condition, and what is degraded."""

    ready: bool
    conditions: dict[str, ConditionReply]
    degraded: list[str]
    build: str
    library: str


class AliveAnswer(Reply, frozen=True):
    """The process lives."""

    alive: bool
