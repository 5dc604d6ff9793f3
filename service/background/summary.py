"""What the roster holds in all, from the counts that every partition keeps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce
from operator import xor

import msgspec

from roster.records.entry import CANARY, Op, State
from roster.records.meta import Meta
from roster.records.position import Position, to_text
from roster.rules.restrictions import ListRule, Lists
from roster.storage.rewinds import rewound
from roster.times import format_ms

STATES = (State.ACTIVE, State.SUSPENDED, State.REMOVED, State.ABSENT)
_ENDINGS = (Op.REMOVE, Op.ABSENT)


class ListSummary(msgspec.Struct, frozen=True):
    """One list; `as_of` is how far back a full file speaks for it, null where none has.

    `rhythm_days` after that it is old; 0: never.
    """

    people: int
    active: int
    suspended: int
    removed: int
    absent: int
    as_of: str | None
    covered: bool
    disabled: bool
    last_removed_at: str | None
    digest: str
    title: str
    rhythm_days: int


class RosterSummary(msgspec.Struct, frozen=True):
    """The whole roster; the canary's list is left out everywhere."""

    people: int
    entries: dict[str, int]
    ever_listed: int
    lists: dict[str, ListSummary]
    digest: str
    position: str
    rewound: int
    load_as_of_after: dict[str, str]


def summarise(metas: Sequence[Meta], lists: Lists, disabled: Iterable[str]) -> RosterSummary:
    """What these partitions' counts amount to."""
    off, behind = frozenset(disabled), rewound(metas)
    shown = [rule for rule in lists.all if rule.code != CANARY]
    by_list = {rule.id: _list(metas, rule, disabled=rule.id in off) for rule in shown}
    return RosterSummary(
        people=sum(meta.people for meta in metas),
        entries={
            state.name.lower(): sum(getattr(each, state.name.lower()) for each in by_list.values())
            for state in STATES
        },
        ever_listed=sum(meta.ever for meta in metas) - sum(_states(metas, CANARY).values()),
        lists=by_list,
        digest=_xor(int(each.digest, 16) for each in by_list.values()),
        position=to_text(_positions(metas)),
        rewound=behind.partitions if behind else 0,
        load_as_of_after={
            lists.name(code): format_ms(at) for code, at in (behind.until if behind else {}).items()
        },
    )


def last_changes(metas: Sequence[Meta], lists: Lists) -> dict[tuple[str, ...], float]:
    """When each list was last changed by each op, in seconds since 1970."""
    found = {
        (rule.id, op.name.lower()): _latest(metas, rule.code, op) for rule in lists.all for op in Op
    }
    return {key: at_ms / 1000 for key, at_ms in found.items() if at_ms is not None}


def _list(metas: Sequence[Meta], rule: ListRule, *, disabled: bool) -> ListSummary:
    code = rule.code
    states = _states(metas, code)
    removed = [at for op in _ENDINGS if (at := _latest(metas, code, op)) is not None]
    floors = [meta.floor_ms(code) for meta in metas]
    return ListSummary(
        people=sum(meta.people_on(code) for meta in metas),
        active=states[State.ACTIVE],
        suspended=states[State.SUSPENDED],
        removed=states[State.REMOVED],
        absent=states[State.ABSENT],
        as_of=format_ms(min(floors)) if floors and all(floors) else None,
        covered=bool(metas) and all(code in meta.covered for meta in metas),
        disabled=disabled,
        last_removed_at=format_ms(max(removed)) if removed else None,
        digest=_xor(meta.digest(code) for meta in metas),
        title=rule.title,
        rhythm_days=rule.rhythm_days,
    )


def _states(metas: Sequence[Meta], code: int) -> dict[State, int]:
    return {state: sum(meta.entries(code, state) for meta in metas) for state in STATES}


def _latest(metas: Sequence[Meta], code: int, op: Op) -> int | None:
    return max((meta.changed_ms(code, op) for meta in metas), default=0) or None


def _xor(digests: Iterable[int]) -> str:
    return f"{reduce(xor, digests, 0):016x}"


def _positions(metas: Sequence[Meta]) -> list[Position]:
    """One for each partition that was ever written; with none there is nothing to reach."""
    return list(filter(None, (meta.position(number) for number, meta in enumerate(metas))))
