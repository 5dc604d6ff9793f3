"""What accepting a roster that has gone back would do to people, as far as anybody remembers.

Those who were freed after what has come back would be denied again, those who were listed since
let go. Numbers of people only: never whose.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from roster.errors import Unreadable
from roster.records.content import unpack_content
from roster.records.entry import BIND, CANARY, Content, Entry, Op, Registers, State
from roster.records.record import readable
from roster.rules.standing import denied
from roster.storage.histories import records
from roster.storage.lost import losses
from roster.times import format_ms
from service.commands.tables import clock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from roster.records.meta import Meta
    from roster.records.record import PackedEntry
    from roster.records.replies import LogEntry
    from roster.rules.restrictions import Lists
    from roster.storage.store import Store

PEOPLE_AT_ONCE = 1_000
_LIVE = (State.ACTIVE, State.SUSPENDED)
_RAISED = {
    Op.PUT: "listed_at",
    Op.REMOVE: "removed_at",
    Op.SUSPEND: "suspended_at",
    Op.RESUME: "resumed_at",
    Op.ABSENT: "absent_at",
}
_ANY_COURT: defaultdict[bytes, str] = defaultdict(str)
"""Which court it was makes no difference here, and the backup may not know it."""


class ListLoss(msgspec.Struct, frozen=True):
    """What is remembered of a list's lost changes, and from when to when they were applied.

    `as_of` is how far a full file speaks for the list in what came back; `first_load` whether the
    list's first load is among what was lost: whom that listed is not known.
    """

    ended: int
    added: int
    changed: int
    first_load: bool
    since: str
    until: str
    as_of: str | None


class Preview(msgspec.Struct, frozen=True):
    """What accepting would do, but for what nobody remembers, which `complete` denies.

    `denied_again` are people who had been freed, `allowed_again` people who had been listed,
    `bound` people with several documents, who are not judged. `changes_lost` is None where that is
    not known. What came back goes up to `kept_until`, what was acknowledged to `lost_until`.
    """

    denied_again: int
    allowed_again: int
    bound: int
    changes_lost: int | None
    changes_remembered: int
    complete: bool
    kept_until: str | None
    lost_until: str | None
    lists: dict[str, ListLoss]


class Judging(NamedTuple):
    """By what people are judged: the lists' rules, what names their entries, and the time."""

    lists: Lists
    hash_entry: Callable[[int, str], bytes]
    now_ms: int


async def preview(store: Store, metas: Sequence[Meta], judging: Judging) -> Preview:
    """What accepting these partitions, which are all, would do; raises Unavailable."""
    behind = {number: meta for number, meta in enumerate(metas) if meta.rewound}
    found = await losses(store, behind)
    owed = [each for each in found.entries if not _made_good(each, metas)]
    fates = await _fates(store, owed, judging)
    last = max((meta.lost_ms for meta in behind.values()), default=0)
    by_list = _by_list(found.entries, judging.lists, list(behind.values()))
    return Preview(
        denied_again=fates["denied"],
        allowed_again=fates["allowed"],
        bound=fates["bound"],
        changes_lost=found.changes,
        changes_remembered=len(found.entries),
        complete=found.complete and not any(each.first_load for each in by_list.values()),
        kept_until=_time(found.kept_ms),
        lost_until=_time(last),
        lists=by_list,
    )


def after(
    entries: Iterable[Entry], lost: Iterable[LogEntry], hash_entry: Callable[[int, str], bytes]
) -> list[Entry]:
    """A document's entries as they would be with these changes, by the merge law."""
    known = {(each.list, each.entry_hash): each for each in entries}
    for change in lost:
        if change.op is Op.RESET or change.list == CANARY:
            continue
        content = unpack_content(change.content, _ANY_COURT)
        name = change.list, hash_entry(change.list, content.entry_id)
        known[name] = _merged(known.get(name), change, content, name[1])
    return list(known.values())


def _merged(entry: Entry | None, change: LogEntry, content: Content, hashed: bytes) -> Entry:
    was = entry.registers if entry else Registers()
    raised = _RAISED[change.op]
    newest = max(getattr(was, raised), change.revision)
    registers = msgspec.structs.replace(was, **{raised: newest})
    newer = entry is None or (change.op is Op.PUT and change.revision >= was.listed_at)
    said = content if newer or entry is None else entry.content
    return Entry(list=change.list, entry_hash=hashed, registers=registers, content=said)


def _made_good(change: LogEntry, metas: Sequence[Meta]) -> bool:
    """Whether a full file of the list, of a later time, has been loaded."""
    return metas[change.position.partition].floor_ms(change.list) >= change.applied_at_ms


async def _fates(store: Store, lost: Sequence[LogEntry], judging: Judging) -> Counter[str]:
    """How many people would be `denied`, `allowed`, and how many are `bound`."""
    owed: dict[bytes, list[LogEntry]] = {}
    for change in lost:
        owed.setdefault(change.token, []).append(change)
    tokens, fates = list(owed), Counter[str]()
    for first in range(0, len(tokens), PEOPLE_AT_ONCE):
        part = tokens[first : first + PEOPLE_AT_ONCE]
        for token, packed in zip(part, await records(store, part), strict=True):
            fates[_fate(packed, owed[token], judging)] += 1
    return fates


def _fate(packed: Sequence[PackedEntry], lost: Sequence[LogEntry], judging: Judging) -> str:
    """What becomes of a document's person; nothing where that is the same with what was lost."""
    with suppress(Unreadable), readable():
        stored = [_entry(each) for each in packed]
        owed = after(stored, lost, judging.hash_entry)
        if any(each.list == BIND and each.state in _LIVE for each in (*stored, *owed)):
            return "bound"
        now, then = (denied(each, judging.now_ms, judging.lists) for each in (stored, owed))
        return {(True, False): "denied", (False, True): "allowed"}.get((now, then), "")
    return ""


def _entry(packed: PackedEntry) -> Entry:
    content = unpack_content(packed.content, _ANY_COURT)
    return Entry(packed.list, packed.entry_hash, Registers(*packed.registers), content)


def _by_list(lost: Iterable[LogEntry], lists: Lists, metas: Sequence[Meta]) -> dict[str, ListLoss]:
    changes: dict[int, list[LogEntry]] = {}
    for change in lost:
        if change.list != CANARY:
            changes.setdefault(change.list, []).append(change)
    return {lists.name(code): _list(found, code, metas) for code, found in sorted(changes.items())}


def _list(changes: Sequence[LogEntry], code: int, metas: Sequence[Meta]) -> ListLoss:
    kinds = Counter(_kind(each) for each in changes)
    times = [each.applied_at_ms for each in changes]
    return ListLoss(
        ended=kinds["ended"],
        added=kinds["added"],
        changed=kinds["changed"],
        first_load=bool(kinds["first_load"]),
        since=format_ms(min(times)),
        until=format_ms(max(times)),
        as_of=_time(min(meta.floor_ms(code) for meta in metas)),
    )


def _kind(change: LogEntry) -> str:
    if change.op is Op.RESET:
        return "first_load"
    was, now = change.was in _LIVE, change.state in _LIVE
    if was == now:
        return "changed"
    return "added" if now else "ended"


def _time(ms: int) -> str | None:
    return format_ms(ms) if ms else None


def lines(found: Preview, lists: Lists) -> Iterator[str]:
    """What people are told of it."""
    if found.kept_until:
        yield f"the newest change that came back: {clock(found.kept_until)}"
    yield f"what is lost was acknowledged until {clock(found.lost_until)}"
    yield f"changes lost: {_counted(found)}; remembered: {found.changes_remembered:,}"
    yield f"of the people who would be denied, freed since: {found.denied_again:,}"
    yield f"people who would be let go, listed since: {found.allowed_again:,}"
    if found.bound:
        yield f"people with several documents, to be looked up by hand: {found.bound:,}"
    for name, loss in found.lists.items():
        rule = lists.by_id(name)
        yield f"{name} ({rule.title}): {_told(loss)}" if rule else f"{name}: {_told(loss)}"
    if not found.complete:
        yield f"not known: {_unknown(found)}"


def _counted(found: Preview) -> str:
    return "not known" if found.changes_lost is None else f"{found.changes_lost:,}"


def _told(loss: ListLoss) -> str:
    figures = f"{loss.ended:,} ended, {loss.added:,} added, {loss.changed:,} changed"
    first = ", and its first load" if loss.first_load else ""
    times = f"from {clock(loss.since)} to {clock(loss.until)}"
    as_of = clock(loss.as_of) or "none"
    return f"{figures}{first}, {times}; its full file is as of: {as_of}"


def _unknown(found: Preview) -> str:
    """Of what nobody can say anything."""
    if any(loss.first_load for loss in found.lists.values()):
        return "whom a first load listed that is lost"
    if found.changes_lost is None:
        return "how much more is lost, and whom that concerns"
    missing = max(1, found.changes_lost - found.changes_remembered)
    return f"whom {missing:,} of the lost changes concern: no process remembers them"
