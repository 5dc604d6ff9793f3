"""Edits applied: their revisions, their place in the roster, and what became of each.

One that is refused by itself (the server's memory is full, or what is stored of its person
cannot be read) is told in its place; the others are applied and safe.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeGuard

from roster.errors import NotDurable, Unavailable, Unreadable
from roster.records.entry import BIND, Op, Outcome, State
from roster.records.position import one_text, to_text
from roster.records.record import readable, split_record
from roster.records.replies import Applied, Refusal
from roster.times import format_ms
from service.changing.edits import Packer
from service.web.faults import FieldError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from roster.records.change import Change
    from roster.records.position import Position
    from service.changing.edits import Edit
    from service.parts import Service

Fates: TypeAlias = "list[Applied | Refusal]"
"""What became of the changes that one edit is."""

_LISTED = frozenset({State.ACTIVE, State.SUSPENDED})
_OUTCOME_NAMES = {outcome: outcome.name.lower() for outcome in Outcome}
_STATE_NAMES = {state: state.name.lower() for state in State}
_BOUND_NAMES = dict.fromkeys(State, "removed") | {State.ACTIVE: "active"}
_HELD = 2
"""So many documents that name each other make a binding."""


class Stamp(NamedTuple):
    """Who sends a request's changes, and when they came in."""

    actor: str
    received_at_ms: int


async def stated(service: Service, edits: Mapping[int, Edit]) -> dict[int, int]:
    """Each edit's revision; one that states none is newer than now and than what is stored.

    Raises Unavailable and WrongKey.
    """
    unstated = [index for index, edit in edits.items() if not edit.revision]
    asked: list[tuple[bytes, Mapping[int, Position]]] = [
        (edits[index].own[0], {}) for index in unstated
    ]
    found = await service.changes_store.lookup(asked, service.screener.high_water) if asked else []
    return _following(
        service,
        edits,
        {
            index: max(one.now_ms, _newest(service, edits[index], one.record) + 1)
            for index, one in zip(unstated, found, strict=True)
        },
    )


def guessed(service: Service, edits: Mapping[int, Edit], now_ms: int) -> dict[int, int]:
    """The same by this machine's clock, where Redis cannot be asked."""
    return _following(service, edits, dict.fromkeys(edits, now_ms))


def _following(
    service: Service, edits: Mapping[int, Edit], least: Mapping[int, int]
) -> dict[int, int]:
    """Two changes to one entry in one request follow each other."""
    latest: dict[tuple[bytes, int, bytes], int] = {}
    revisions: dict[int, int] = {}
    for index, edit in edits.items():
        revisions[index] = edit.revision
        if not edit.revision:
            entry = edit.own[0], edit.list, _entry_hash(service, edit)
            revisions[index] = latest[entry] = max(least[index], latest.get(entry, 0) + 1)
    return revisions


def _newest(service: Service, edit: Edit, record: bytes) -> int:
    """The newest revision of the edit's entry; 0 where what is stored cannot be read."""
    entry = edit.list, _entry_hash(service, edit)
    try:
        with readable():
            stored = split_record(record)
    except Unreadable:
        return 0
    found = (max(each.registers) for each in stored if (each.list, each.entry_hash) == entry)
    return max(found, default=0)


def _entry_hash(service: Service, edit: Edit) -> bytes:
    return service.tokeniser.entry_hash(edit.list, edit.content[0].entry_id)


async def apply(
    service: Service, edits: Sequence[Edit], changes: Sequence[list[Change]]
) -> list[Fates]:
    """What became of every edit's changes; raises NotDurable.

    The documents that an edit replaces are freed only when its own entry is safe: else a put
    that fails would free the person everywhere.
    """
    sizes = [len(edit.own) for edit in edits]
    try:
        own = await _send(service, [g[:n] for g, n in zip(changes, sizes, strict=True)])
        freed = await _send(
            service,
            [g[len(mine) :] if whole(mine) else [] for g, mine in zip(changes, own, strict=True)],
        )
    except Unavailable as exc:
        raise NotDurable("what was sent is not known to be applied") from exc
    return [mine + replaced for mine, replaced in zip(own, freed, strict=True)]


async def _send(service: Service, groups: Sequence[list[Change]]) -> list[Fates]:
    """What became of the changes of each group, all in one pipeline to each server."""
    flat = [change for group in groups for change in group]
    if not flat:
        return [[] for _ in groups]
    store, known = service.changes_store, service.screener.high_water
    fates = iter(await store.apply_each(flat, service.wait, known))
    return [[next(fates) for _ in group] for group in groups]


def whole(fates: Fates) -> TypeGuard[list[Applied]]:
    """Whether none of them was refused."""
    return not any(isinstance(fate, Refusal) for fate in fates)


def positions(fates: Sequence[Fates]) -> list[Position]:
    """Where the roster stands for all that was applied."""
    return [fate.position for each in fates for fate in each if isinstance(fate, Applied)]


def applied_ms(fates: Sequence[Fates]) -> int:
    """When the last of it was, by Redis' clock; 0 where nothing was."""
    at_ms = (fate.applied_at_ms for each in fates for fate in each if isinstance(fate, Applied))
    return max(at_ms, default=0)


def joining(edits: Iterable[Edit], fates: Iterable[Fates]) -> list[bytes]:
    """The tokens of the people whom these edits have left on a list."""
    return [
        token
        for edit, each in zip(edits, fates, strict=True)
        for token, fate in zip(edit.own, each, strict=False)
        if isinstance(fate, Applied) and fate.state in _LISTED
    ]


def result_json(edit: Edit, fates: Fates) -> dict[str, Any]:
    """What the answer says of an edit."""
    if not whole(fates):
        reasons = dict.fromkeys(fate.value for fate in fates if isinstance(fate, Refusal))
        return {"outcome": "rejected", "errors": [FieldError("", reason) for reason in reasons]}
    if len(fates) == 1:  # as nearly all are; a third of the cost
        told = fates[0]
        outcome, position, at_ms = told.outcome, one_text(told.position), told.applied_at_ms
    else:
        outcome, own = outcome_of(edit, fates), fates[: len(edit.own)]
        told = next((fate for fate in own if fate.outcome is outcome), own[0])
        position = to_text([fate.position for fate in fates])
        at_ms = max(fate.applied_at_ms for fate in fates)
    names = _BOUND_NAMES if edit.list == BIND else _STATE_NAMES
    return {
        "outcome": _OUTCOME_NAMES[outcome],
        "was": names[told.was],
        "current": {"state": names[told.state], "revision": told.revision},
        "position": position,
        "applied_at": format_ms(at_ms),
    }


def outcome_of(edit: Edit, fates: Sequence[Applied]) -> Outcome:
    """The outcome over all of an edit's documents.

    A binding holds only while documents name each other: one that two of them do not hold
    has no effect, however new it is to a third.
    """
    own = fates[: len(edit.own)]
    best = min(fate.outcome for fate in own)
    if edit.list != BIND or edit.op is not Op.PUT or best is not Outcome.APPLIED:
        return best
    held = [
        fate for fate in own if fate.outcome <= Outcome.DUPLICATE and fate.state is State.ACTIVE
    ]
    return best if len(held) >= _HELD else Outcome.SUPERSEDED


async def packed(
    service: Service, edits: Mapping[int, Edit], revisions: Mapping[int, int], stamp: Stamp
) -> list[list[Change]]:
    """Every edit as the store applies it; the courts that they name are safe before."""
    courts = {court for edit in edits.values() for court in edit.courts}
    await service.dictionary.intern(courts, service.wait)
    packer = Packer(service.tokeniser, service.dictionary.court_ids, stamp.actor)
    return [
        packer.pack(edit, revisions[index], stamp.received_at_ms) for index, edit in edits.items()
    ]
