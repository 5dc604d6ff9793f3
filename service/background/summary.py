"""What the roster holds in all, from the counts that every partition keeps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from roster import keys
from roster.records.entry import CANARY, Op, State
from roster.records.position import Position, to_text
from roster.rules.restrictions import Lists
from roster.storage.rewinds import rewound
from roster.times import format_ms

DIGEST_BYTES = 8
STATES = (State.ACTIVE, State.SUSPENDED, State.REMOVED, State.ABSENT)
_ENDINGS = (Op.REMOVE, Op.ABSENT)

Meta = Mapping[bytes, bytes]


class ListSummary(msgspec.Struct, frozen=True):
    """One list; `as_of` is how far back a full file speaks for it, null where none has."""

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


class Summary(msgspec.Struct, frozen=True):
    """The whole roster; the canary's list is left out everywhere."""

    people: int
    entries: dict[str, int]
    ever_listed: int
    lists: dict[str, ListSummary]
    digest: str
    position: str
    rewound: int
    load_as_of_after: dict[str, str]


def summarise(metas: Sequence[Meta], lists: Lists, disabled: Iterable[str]) -> Summary:
    """What these partitions' counts amount to."""
    off, behind = frozenset(disabled), rewound(metas)
    shown = [rule for rule in lists.all if rule.code != CANARY]
    by_list = {rule.id: _list(metas, rule.code, disabled=rule.id in off) for rule in shown}
    return Summary(
        people=_sum(metas, "people"),
        entries={
            state.name.lower(): sum(getattr(each, state.name.lower()) for each in by_list.values())
            for state in STATES
        },
        ever_listed=_sum(metas, "ever") - sum(_states(metas, CANARY).values()),
        lists=by_list,
        digest=_xor(bytes.fromhex(each.digest) for each in by_list.values()).hex(),
        position=to_text(_positions(metas)),
        rewound=behind.partitions if behind else 0,
        load_as_of_after={
            lists.name(code): format_ms(at) for code, at in (behind.until if behind else {}).items()
        },
    )


def last_changes(metas: Sequence[Meta], lists: Lists) -> dict[tuple[str, ...], float]:
    """When each list was last changed by each op, in seconds since 1970."""
    found = {
        (rule.id, op.name.lower()): _latest(metas, f"t:{rule.code}:{op.value}")
        for rule in lists.all
        for op in Op
    }
    return {key: at_ms / 1000 for key, at_ms in found.items() if at_ms is not None}


def _list(metas: Sequence[Meta], code: int, *, disabled: bool) -> ListSummary:
    states = _states(metas, code)
    removed = [at for op in _ENDINGS if (at := _latest(metas, f"t:{code}:{op.value}")) is not None]
    floors = [_number(meta, f"f:{code}") for meta in metas]
    return ListSummary(
        people=_sum(metas, f"p:{code}"),
        active=states[State.ACTIVE],
        suspended=states[State.SUSPENDED],
        removed=states[State.REMOVED],
        absent=states[State.ABSENT],
        as_of=format_ms(min(floors)) if floors and all(floors) else None,
        covered=bool(metas) and all(code in meta.get(b"covered", b"") for meta in metas),
        disabled=disabled,
        last_removed_at=format_ms(max(removed)) if removed else None,
        digest=_xor(meta.get(f"d:{code}".encode(), b"") for meta in metas).hex(),
    )


def _states(metas: Sequence[Meta], code: int) -> dict[State, int]:
    return {state: _sum(metas, f"n:{code}:{state.value}") for state in STATES}


def _sum(metas: Sequence[Meta], name: str) -> int:
    return sum(_number(meta, name) for meta in metas)


def _number(meta: Meta, name: str) -> int:
    return int(meta.get(name.encode(), 0))


def _latest(metas: Sequence[Meta], name: str) -> int | None:
    return max((_number(meta, name) for meta in metas), default=0) or None


def _xor(digests: Iterable[bytes]) -> bytes:
    total = 0
    for digest in digests:
        total ^= int.from_bytes(digest)
    return total.to_bytes(DIGEST_BYTES)


def _positions(metas: Sequence[Meta]) -> list[Position]:
    """One for each partition that was ever written; with none there is nothing to reach."""
    return [
        Position(number, _number(meta, "history"), _number(meta, "seq"), meta[b"mark"])
        for number, meta in zip(range(keys.PARTITIONS), metas, strict=True)
        if b"mark" in meta
    ]
