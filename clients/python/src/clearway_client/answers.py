"""What the service answers; fields that a newer service adds are passed over."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar, Literal

import msgspec

from clearway_client.discreet import Discreet
from clearway_client.questions import Mode

Decision = Literal["allow", "deny", "refer"]


class Reason(msgspec.Struct, frozen=True, omit_defaults=True, rename={"from_": "from"}):
    """Why; with the entry that it rests on, and when to ask again where it passes by itself."""

    code: str
    list: str | None = None
    entry_id: str | None = None
    case: str | None = None
    court: str | None = None
    from_: datetime | None = None
    until: datetime | None = None
    contact: str | None = None
    last_known: Literal["clear", "possible"] | None = None
    retry_after_ms: int | None = None


class Product(msgspec.Struct, frozen=True, omit_defaults=True):
    """Places that are answered alike: each of `seats` on each of `trains`, or `cabins`.

    `*` is every train but those of the letters in `except_trains`, which have a rule of their own.
    """

    mode: Mode
    trains: tuple[str, ...] = ()
    except_trains: tuple[str, ...] = ()
    seats: tuple[str, ...] = ()
    cabins: tuple[str, ...] = ()


class Answer(Discreet, frozen=True):
    """The answer to a check, after your policy; `note` says so where that has decided."""

    SHOWN: ClassVar = ("decision", "reasons", "seats", "name_check", "decision_id", "note")

    decision: Decision
    reasons: tuple[Reason, ...] = ()
    allowed_instead: tuple[Product, ...] = ()
    seats: Mapping[str, Decision] = {}
    name_check: Literal["match", "mismatch", "not_compared"] | None = None
    subject: str | None = None
    decision_id: str | None = None
    position: str | None = None
    fresh_as_of: datetime | None = None
    stale: bool = False
    reference: str | None = None
    warnings: tuple[str, ...] = ()
    note: str = ""

    @property
    def codes(self) -> tuple[str, ...]:
        """The reasons' codes."""
        return tuple(reason.code for reason in self.reasons)


class FieldError(msgspec.Struct, frozen=True):
    """A field that is to blame, and why."""

    field: str
    message: str


class Problem(msgspec.Struct, frozen=True):
    """Why the service refused a request, or one item of a batch; never with what was sent.

    An item's has the `reference` that was sent with it.
    """

    type: str = ""
    title: str = ""
    status: int = 0
    detail: str = ""
    errors: tuple[FieldError, ...] = ()
    retry_after_ms: int | None = None
    revisions: tuple[int, ...] = ()
    oldest: str | None = None
    scope: str | None = None
    reference: str | None = None

    @property
    def told(self) -> str:
        """All that it says, in a line, each thing once."""
        blamed = [": ".join(filter(None, (each.field, each.message))) for each in self.errors]
        said = [each for each in blamed if each not in self.detail]
        return "; ".join(filter(None, [self.title, self.detail, *said]))


class Remaining(msgspec.Struct, frozen=True):
    """An entry that has to end before the person is free."""

    list: str
    entry_id: str
    case: str = ""
    court: str = ""
    until: datetime | None = None
    contact: str = ""


class Standing(msgspec.Struct, frozen=True):
    """What a person may and may not be sold, over all products."""

    standing: Literal["clear", "restricted", "refer"]
    forbidden: tuple[Product, ...] = ()
    permitted: tuple[Product, ...] = ()
    reasons: tuple[Reason, ...] = ()
    remaining: tuple[Remaining, ...] = ()
    position: str | None = None


class Current(msgspec.Struct, frozen=True):
    """How an entry stands after a change."""

    state: str
    revision: int


class Result(msgspec.Struct, frozen=True):
    """What became of one change; `errors` where it was rejected."""

    outcome: Literal["applied", "duplicate", "superseded", "unseen", "rejected"]
    was: str | None = None
    current: Current | None = None
    position: str | None = None
    applied_at: datetime | None = None
    errors: tuple[FieldError, ...] = ()


class Confirmed(msgspec.Struct, frozen=True):
    """Which processes have applied the changes, and which have not said so."""

    confirmed: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


class Acknowledged(msgspec.Struct, frozen=True):
    """What became of changes, in their order; they are safe. `position` covers all of them."""

    results: tuple[Result, ...]
    position: str
    processes: Confirmed | None = None


class Event(msgspec.Struct, frozen=True):
    """A change to somebody: `subject` with a carrier's key, the rest with a maintainer's."""

    position: str
    subject: str | None = None
    op: str | None = None
    list: str | None = None
    entry_id: str | None = None
    token: str | None = None
    revision: int | None = None
    reason: str | None = None
    decided_at: datetime | None = None
    received_at: datetime | None = None
    applied_at: datetime | None = None
    actor: str | None = None


class Page(msgspec.Struct, frozen=True):
    """Some events in order, and the position behind them."""

    position: str
    changes: tuple[Event, ...] = ()


class Batch(msgspec.Struct, frozen=True):
    """The answers to a batch as they come: what holds for all of them is said once."""

    results: tuple[dict[str, Any], ...]
    fresh_as_of: datetime | None = None
    stale: bool = False

    @property
    def answers(self) -> list[Answer | Problem]:
        """Each item's answer, or why it could not be read; raises msgspec.ValidationError."""
        return [self._answer(each) for each in self.results]

    def _answer(self, item: dict[str, Any]) -> Answer | Problem:
        if "error" in item:
            return msgspec.convert(item["error"], Problem)
        common = {"fresh_as_of": self.fresh_as_of, "stale": self.stale}
        return msgspec.convert(common | item, Answer)
