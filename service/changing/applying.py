"""Edits packed and applied, and what became of each.

One that is refused by itself (the server's memory is full, or what is stored of its person
cannot be read) is told in its place; the others are applied and safe.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeGuard

from roster.errors import NotDurable, Unavailable
from roster.records.change import Change
from roster.records.content import pack_content
from roster.records.entry import BIND, LIFT, Content, Op, Outcome, Provenance, State
from roster.records.position import one_text, to_text
from roster.records.record import provenance_tail
from roster.records.replies import Applied, Refusal
from roster.times import format_ms
from service.web.faults import FieldError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from roster.documents.identity import Token
    from roster.documents.tokeniser import Tokeniser
    from roster.records.position import HighWater, Position
    from roster.redis.calls import Wait
    from roster.storage.dictionary import Dictionary
    from roster.storage.store import Store
    from service.changing.edits import Edit

Replies: TypeAlias = "list[Applied | Refusal]"
"""What became of the changes that one edit is."""

_LISTED = frozenset({State.ACTIVE, State.SUSPENDED})
_OUTCOME_NAMES = {outcome: outcome.name.lower() for outcome in Outcome}
_STATE_NAMES = {state: state.name.lower() for state in State}
_BOUND_NAMES = dict.fromkeys(State, "removed") | {State.ACTIVE: "active"}
_HELD = 2
"""So many documents that name each other make a binding."""


class Origin(NamedTuple):
    """Who sends a request's changes, and when they came in."""

    actor: str
    received_at_ms: int


class Applier:
    """Applies edits with the client of changes; `wait` says when a change is safe."""

    def __init__(
        self,
        store: Store,
        tokeniser: Tokeniser,
        dictionary: Dictionary,
        high_water: Mapping[int, HighWater],
        wait: Wait,
    ) -> None:
        """`high_water` are positions that are known to be safe."""
        self._store = store
        self._tokeniser = tokeniser
        self._dictionary = dictionary
        self._high_water = high_water
        self.wait = wait

    async def packed(
        self, edits: Mapping[int, Edit], revisions: Mapping[int, int], origin: Origin
    ) -> list[list[Change]]:
        """Every edit as the store applies it; the courts that they name are safe before.

        An edit is one change for each of its own documents, and then one for each that it
        replaces.
        """
        courts = {court for edit in edits.values() for court in edit.courts}
        await self._dictionary.intern(courts, self.wait)
        return [self._pack(edit, revisions[index], origin) for index, edit in edits.items()]

    async def apply(self, edits: Sequence[Edit], changes: Sequence[list[Change]]) -> list[Replies]:
        """What became of every edit's changes; raises NotDurable.

        The documents that an edit replaces are freed only when its own entry is safe: else a
        put that fails would free the person everywhere.
        """
        parts = [(group, len(edit.own)) for edit, group in zip(edits, changes, strict=True)]
        try:
            own = await self._send([group[:size] for group, size in parts])
            freed = await self._send(
                [
                    group[size:] if whole(mine) else []
                    for (group, size), mine in zip(parts, own, strict=True)
                ]
            )
        except Unavailable as exc:
            raise NotDurable("what was sent is not known to be applied") from exc
        return [mine + replaced for mine, replaced in zip(own, freed, strict=True)]

    async def _send(self, groups: Sequence[list[Change]]) -> list[Replies]:
        """What became of the changes of each group, all in one pipeline to each server."""
        flat = [change for group in groups for change in group]
        if not flat:
            return [[] for _ in groups]
        replies = iter(await self._store.apply_each(flat, self.wait, self._high_water))
        return [[next(replies) for _ in group] for group in groups]

    def _pack(self, edit: Edit, revision: int, origin: Origin) -> list[Change]:
        since = revision, _provenance(edit, origin, edit.shape.reason or "")
        own = zip(edit.own, edit.content, strict=True)
        changes = [self._change(edit, edit.op, token, content, since) for token, content in own]
        if edit.replaced:
            since = revision, _provenance(edit, origin, "error")
            empty = Content(edit.content[0].entry_id)
            changes += [self._change(edit, Op.REMOVE, each, empty, since) for each in edit.replaced]
        return changes

    def _change(
        self, edit: Edit, op: Op, token: Token, content: Content, since: tuple[int, bytes]
    ) -> Change:
        """One change; `since` is its revision, and what is written of where it comes from."""
        revision, provenance = since
        tokeniser, court_ids = self._tokeniser, self._dictionary.court_ids
        packed = pack_content(content, court_ids, packs_ids=tokeniser.packs_ids)
        return Change(
            token=token,
            list=edit.list,
            op=op,
            revision=revision,
            entry_hash=tokeniser.entry_hash(edit.list, content.entry_id),
            content=packed,
            digest=tokeniser.digest(token, edit.list, packed),
            provenance=provenance,
            lenient=op in (Op.REMOVE, Op.SUSPEND) or edit.list == LIFT,
        )


def _provenance(edit: Edit, origin: Origin, reason: str) -> bytes:
    return provenance_tail(
        Provenance("api", origin.actor, reason, edit.decided_at_ms, origin.received_at_ms)
    )


def whole(replies: Replies) -> TypeGuard[list[Applied]]:
    """Whether none of them was refused."""
    return not any(isinstance(reply, Refusal) for reply in replies)


def positions(replies: Sequence[Replies]) -> list[Position]:
    """Where the roster stands for all that was applied."""
    return [reply.position for each in replies for reply in each if isinstance(reply, Applied)]


def applied_ms(replies: Sequence[Replies]) -> int:
    """When the last of it was, by Redis' clock; 0 where nothing was."""
    at_ms = (
        reply.applied_at_ms for each in replies for reply in each if isinstance(reply, Applied)
    )
    return max(at_ms, default=0)


def joining(edits: Iterable[Edit], replies: Iterable[Replies]) -> list[bytes]:
    """The tokens of the people whom these edits have left on a list."""
    return [
        token
        for edit, each in zip(edits, replies, strict=True)
        for token, reply in zip(edit.own, each, strict=False)
        if isinstance(reply, Applied) and reply.state in _LISTED
    ]


def result_json(edit: Edit, replies: Replies) -> dict[str, Any]:
    """What the answer says of an edit."""
    if not whole(replies):
        reasons = dict.fromkeys(reply.value for reply in replies if isinstance(reply, Refusal))
        return {"outcome": "rejected", "errors": [FieldError("", reason) for reason in reasons]}
    if len(replies) == 1:  # as nearly all are; a third of the cost
        told = replies[0]
        outcome, position, at_ms = told.outcome, one_text(told.position), told.applied_at_ms
    else:
        outcome, own = outcome_of(edit, replies), replies[: len(edit.own)]
        told = next((reply for reply in own if reply.outcome is outcome), own[0])
        position = to_text([reply.position for reply in replies])
        at_ms = max(reply.applied_at_ms for reply in replies)
    names = _BOUND_NAMES if edit.list == BIND else _STATE_NAMES
    return {
        "outcome": _OUTCOME_NAMES[outcome],
        "was": names[told.was],
        "current": {"state": names[told.state], "revision": told.revision},
        "position": position,
        "applied_at": format_ms(at_ms),
    }


def outcome_of(edit: Edit, replies: Sequence[Applied]) -> Outcome:
    """The outcome over all of an edit's documents.

    A binding holds only while documents name each other: one that two of them do not hold
    has no effect, however new it is to a third.
    """
    own = replies[: len(edit.own)]
    best = min(reply.outcome for reply in own)
    if edit.list != BIND or edit.op is not Op.PUT or best is not Outcome.APPLIED:
        return best
    held = [
        reply for reply in own if reply.outcome <= Outcome.DUPLICATE and reply.state is State.ACTIVE
    ]
    return best if len(held) >= _HELD else Outcome.SUPERSEDED
