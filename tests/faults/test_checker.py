"""The checker itself: histories that it must accept, and ones that it must not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypedDict, Unpack

import msgspec
import pytest

from tests.faults.checker import violations
from tests.faults.history import (
    BIND,
    LIFT,
    LISTS,
    MS,
    OFFSET_NS,
    Accepted,
    Answered,
    Changed,
    Copied,
    Event,
    History,
    Loaded,
    Lost,
    Name,
    read,
)

if TYPE_CHECKING:
    from pathlib import Path

FRESH_MS = 1_000
ENTRY = (0, "sx", "1")
FAR_MS = 10**15


Op = Literal["put", "remove", "suspend", "resume"]


class More(TypedDict, total=False):
    name: Name
    everywhere: bool
    state: str


def at(ms: float) -> int:
    return int(ms * MS)


def change(
    op: Op, revision: int, began: float, ended: float | None, **more: Unpack[More]
) -> Changed:
    done = None if ended is None else at(ended)
    told = Changed(op, ENTRY, revision, at(began), done)
    return msgspec.structs.replace(told, **more)


def put(revision: int, began: float, ended: float | None, **more: Unpack[More]) -> Changed:
    return change("put", revision, began, ended, **more)


def remove(revision: int, began: float, ended: float | None, **more: Unpack[More]) -> Changed:
    return change("remove", revision, began, ended, **more)


def deny(began: float, ended: float, document: int = 0) -> Answered:
    return Answered(document, "a", at(began), at(ended), "deny", looked_up=True)


def allow(
    began: float,
    ended: float,
    *,
    looked_up: bool = False,
    stale: bool = False,
    fresh: float = -FAR_MS,
) -> Answered:
    as_of = int(fresh + OFFSET_NS / MS)
    return Answered(
        0,
        "a",
        at(began),
        at(ended),
        "allow",
        looked_up=looked_up,
        stale=stale,
        fresh_as_of_ms=as_of,
    )


def named(answer: Answered, never: str) -> Answered:
    return msgspec.structs.replace(answer, never=never)


def refer(began: float, ended: float) -> Answered:
    return Answered(0, "a", at(began), at(ended), "refer")


def find(began: float, ended: float, state: str) -> Answered:
    return Answered(0, "a", at(began), at(ended), "find", looked_up=True, name=ENTRY, state=state)


def load(
    rows: dict[tuple[int, str, str], int],
    as_of: int,
    began: float,
    ended: float | None,
    lists: tuple[str, ...] = LISTS,
) -> Loaded:
    done = None if ended is None else at(ended)
    return Loaded(lists, tuple(rows.items()), as_of, at(began), done)


def late(ms: float) -> int:
    """What a file says that was cut then, on the wall's clock."""
    return int(ms + OFFSET_NS / MS) + 1


def flushed(began: float, ended: float) -> Lost:
    return Lost("flushed", at(began), at(ended))


def rewound(began: float, ended: float) -> Lost:
    return Lost("rewound", at(began), at(ended))


RIGHT: dict[str, list[Event]] = {
    "an unacknowledged removal was seen, and is lost with a fail-over": [
        put(1, 1, 2),
        remove(2, 5, 90),
        allow(7, 8, looked_up=True),
        Lost("failed over", at(10), at(20)),
        deny(30, 40),
        allow(95, 96, looked_up=True),
    ],
    "nothing happened": [allow(1, 2), allow(1, 2, looked_up=True)],
    "listed, then denied": [put(1, 10, 20), deny(30, 40)],
    "listed while the check is under way": [put(1, 10, 20), deny(5, 15), allow(5, 15)],
    "not told yet": [put(1, 10, 20), allow(30, 40)],
    "everywhere, and denied or referred": [
        put(1, 10, 20, everywhere=True),
        refer(30, 40),
        deny(30, 40),
    ],
    "stale answers may miss additions": [
        put(1, 10, 20, everywhere=True),
        allow(30, 40, stale=True),
    ],
    "removed while asking": [
        put(1, 10, 20),
        remove(2, 30, 50),
        deny(35, 40),
        allow(41, 45, looked_up=True),
    ],
    "an unacknowledged removal happens much later": [
        put(1, 10, 20),
        remove(2, 30, None),
        deny(100, 110),
        allow(5000, 5010, looked_up=True),
    ],
    "an unacknowledged removal never happens": [
        put(1, 10, 20),
        remove(2, 30, None),
        deny(9000, 9010),
    ],
    "an older put after a removal": [
        put(1, 10, 20),
        remove(5, 30, 40),
        put(3, 50, 60, state="removed"),
        allow(70, 80, looked_up=True),
    ],
    "suspended and resumed": [
        put(1, 1, 2),
        change("suspend", 2, 3, 4),
        allow(5, 6, looked_up=True),
        change("resume", 3, 7, 8),
        deny(9, 10),
    ],
    "lifted": [put(1, 1, 2), put(2, 3, 4, name=(0, LIFT, "l")), allow(5, 6, looked_up=True)],
    "bound": [put(1, 1, 2), put(2, 3, 4, name=(0, BIND, "b")), deny(5, 6, document=1)],
    "a file lists": [load({ENTRY: 5}, 6, 10, 20), deny(30, 40)],
    "a file lacks": [put(1, 1, 2), load({}, 6, 10, 20), allow(30, 40, looked_up=True)],
    "a file is older than a put": [put(9, 1, 2), load({}, 6, 10, 20), deny(30, 40)],
    "a file on its way": [
        put(1, 1, 2),
        load({}, 6, 10, 50),
        deny(20, 30),
        allow(31, 35, looked_up=True),
    ],
    "flushed, referred, loaded": [
        put(1, 1, 2),
        flushed(10, 20),
        refer(30, 40),
        load({ENTRY: 1}, 6, 50, 60),
        deny(70, 80),
    ],
    "flushed, and a filter still clears who was never listed": [flushed(10, 20), allow(30, 40)],
    "a change under way is in the copy": [
        Copied(at(3), at(9)),
        remove(1, 4, 20),
        Lost("rewound", at(30), at(40)),
        find(45, 46, "removed"),
    ],
    "a change under way is not in the copy": [
        Copied(at(3), at(9)),
        remove(1, 4, 20),
        Lost("rewound", at(30), at(40)),
        find(45, 46, "unknown"),
    ],
    "rewound: the filter goes by what was": [
        put(1, 1, 2),
        Copied(at(3), at(4)),
        remove(2, 5, 6),
        rewound(10, 20),
        refer(30, 40),
    ],
    "accepted: the copy is the roster": [
        put(1, 1, 2),
        Copied(at(3), at(4)),
        remove(2, 5, 6),
        rewound(10, 20),
        Accepted(at(50), at(60)),
        deny(70, 80),
    ],
    "a file from after the loss ends it": [
        put(1, 1, 2),
        Copied(at(3), at(4)),
        remove(2, 5, 6),
        rewound(10, 20),
        load({ENTRY: 1}, late(5), 25, 28),
        refer(30, 40),
        load({ENTRY: 1}, late(21), 45, 50),
        deny(60, 70),
    ],
    "two files from after the loss, each of one list, end it": [
        put(1, 1, 2),
        Copied(at(3), at(4)),
        remove(2, 5, 6),
        rewound(10, 20),
        load({ENTRY: 1}, late(21), 45, 50, ("sx",)),
        load({}, late(22), 51, 55, ("xgl",)),
        deny(60, 70),
    ],
    "nothing of this person was lost, and an older file lists": [
        Copied(at(3), at(4)),
        rewound(10, 20),
        load({ENTRY: 1}, late(5), 25, 28),
        deny(30, 40),
    ],
    "changes after a rewind outlive its acceptance": [
        Copied(at(3), at(4)),
        put(1, 5, 6),
        rewound(10, 20),
        put(2, 30, 40, name=(0, "xgl", "2")),
        Accepted(at(50), at(60)),
        deny(70, 80),
        remove(3, 81, 82, name=(0, "xgl", "2")),
        allow(90, 95, looked_up=True),
    ],
    "an unacknowledged change is lost with a rewind": [
        put(1, 1, 2),
        Copied(at(3), at(4)),
        remove(2, 5, None),
        allow(7, 8, looked_up=True),
        rewound(10, 20),
        deny(30, 40),
    ],
    "two removals under way, in either order": [
        put(1, 1, 2),
        put(1, 1, 2, name=(0, "xgl", "2")),
        remove(2, 5, 30),
        remove(2, 5, 30, name=(0, "xgl", "2")),
        find(10, 12, "removed"),
        deny(13, 14),
        allow(40, 50, looked_up=True),
    ],
}

WRONG: dict[str, list[Event]] = {
    "G4: an acknowledged removal is lost with a fail-over": [
        put(1, 1, 2),
        remove(2, 5, 6),
        Lost("failed over", at(10), at(20)),
        deny(30, 40),
    ],
    "G1: denied after a removal": [put(1, 10, 20), remove(2, 30, 40), deny(50, 60)],
    "G1: denied after a suspension": [put(1, 1, 2), change("suspend", 2, 3, 4), deny(5, 6)],
    "G1: denied in spite of a lift": [put(1, 1, 2), put(2, 3, 4, name=(0, LIFT, "l")), deny(5, 6)],
    "G1: denied after unbinding": [
        put(1, 1, 2),
        put(2, 3, 4, name=(0, BIND, "b")),
        remove(3, 5, 6, name=(0, BIND, "b")),
        deny(7, 8, document=1),
    ],
    "G1: denied again after the removal was seen": [
        put(1, 10, 20),
        remove(2, 30, 90),
        allow(40, 45, looked_up=True),
        deny(50, 60),
    ],
    "G1: denied who was never listed": [deny(1, 2)],
    "G2: allowed though every process has it": [put(1, 10, 20, everywhere=True), allow(30, 40)],
    "G2: allowed later than FRESH_MS": [put(1, 10, 20), allow(1_025, 1_030)],
    "G2: stale, but with news from after the addition": [
        put(1, 10, 20),
        allow(30, 40, stale=True, fresh=25),
    ],
    "G2: removed and listed again everywhere": [
        put(1, 1, 2),
        remove(2, 3, 4),
        put(3, 5, 6, everywhere=True),
        allow(7, 8),
    ],
    "G3: a look-up misses an addition": [put(1, 10, 20), allow(30, 40, looked_up=True)],
    "G4: an acknowledged change is lost": [put(1, 10, 20), find(30, 40, "unknown")],
    "G4: an acknowledged removal is lost": [put(1, 1, 2), remove(2, 3, 4), find(30, 40, "active")],
    "G5: an older put lists again": [
        put(1, 10, 20),
        remove(5, 30, 40),
        put(3, 50, 60),
        deny(70, 80),
    ],
    "G5: an older file lists again": [
        put(1, 1, 2),
        remove(5, 3, 4),
        load({ENTRY: 3}, 3, 5, 6),
        deny(7, 8),
    ],
    "G5: a resume undoes a removal": [
        put(1, 1, 2),
        remove(2, 3, 4),
        change("resume", 3, 5, 6),
        deny(7, 8),
    ],
    "G6: a flushed roster clears a listed person": [
        put(1, 1, 2),
        flushed(10, 20),
        allow(30, 40, stale=True, fresh=5),
    ],
    "G6: a flushed roster is believed": [flushed(10, 20), allow(30, 40, looked_up=True)],
    "G6: a flushed roster denies": [put(1, 1, 2), flushed(10, 20), deny(30, 40)],
    "G6: a file on its way clears a listed person": [
        put(1, 1, 2),
        flushed(10, 20),
        load({ENTRY: 1}, 6, 50, None),
        allow(70, 80, fresh=5),
    ],
    "G6: a rewound roster denies who was removed": [
        put(1, 1, 2),
        Copied(at(3), at(4)),
        remove(2, 5, 6),
        rewound(10, 20),
        deny(30, 40),
    ],
    "G6: a rewound roster clears who was added": [
        Copied(at(3), at(4)),
        put(1, 5, 6),
        rewound(10, 20),
        allow(3_000, 3_010),
    ],
    "G6: a load of another list ends it, and who was removed is denied": [
        put(1, 1, 2),
        Copied(at(3), at(4)),
        remove(2, 5, 6),
        rewound(10, 20),
        load({}, late(21), 25, 28, ("xgl",)),
        deny(30, 40),
    ],
    "G6: a file from before the loss ends it, and who was removed is denied": [
        put(1, 1, 2),
        Copied(at(3), at(4)),
        remove(2, 5, 6),
        rewound(10, 20),
        load({ENTRY: 1}, late(5), 25, 28),
        deny(30, 40),
    ],
    "G6: a filter that had not read what was lost clears who was added": [
        Copied(at(3), at(4)),
        put(1, 5, 6, everywhere=True),
        rewound(10, 20),
        allow(30, 40, fresh=25),
    ],
    "G2: a batch that began stale says that it is not": [
        put(1, 10, 20, everywhere=True),
        allow(30, 900, fresh=-FAR_MS),
    ],
    "a denial in another's name": [put(1, 1, 2), named(deny(3, 4), "another's name")],
    "a denial of what no list forbids": [put(1, 1, 2), named(deny(3, 4), "a free journey")],
    "an acknowledgement that is not true": [put(1, 1, 2, state="removed")],
    "a file that was loaded did nothing": [load({ENTRY: 5}, 6, 10, 20), find(30, 40, "unknown")],
}


@pytest.mark.parametrize("events", RIGHT.values(), ids=RIGHT)
def test_a_history_that_some_order_explains_has_no_violation(events: list[Event]) -> None:
    assert violations(events, FRESH_MS) == []


@pytest.mark.parametrize("events", WRONG.values(), ids=WRONG)
def test_an_answer_that_no_order_explains_is_a_violation(events: list[Event]) -> None:
    assert violations(events, FRESH_MS) != []


def test_a_violation_is_told_once_and_the_rest_is_still_checked() -> None:
    events: list[Event] = [put(1, 10, 20), remove(2, 30, 40)]
    events += [deny(50, 60), deny(70, 80), allow(90, 95)]
    found = violations(events, FRESH_MS)
    assert [violation.answer for violation in found] == [deny(50, 60), deny(70, 80)]


def test_people_are_judged_apart() -> None:
    other = put(1, 10, 20, name=(2, "sx", "1"))
    assert violations([other, deny(30, 40, document=2)], FRESH_MS) == []
    assert violations([other, deny(30, 40, document=0)], FRESH_MS) != []


def test_many_unacknowledged_changes_are_followed_in_reasonable_time() -> None:
    events: list[Event] = [put(n, n, None) for n in range(1, 12)]
    events += [remove(100, 200, 210), allow(220, 230, looked_up=True)]
    assert violations(events, FRESH_MS) == []


def test_a_history_can_be_kept(tmp_path: Path) -> None:
    history = History()
    for event in [*RIGHT["bound"], *RIGHT["flushed, referred, loaded"]]:
        history.add(event)
    history.written(tmp_path / "h.jsonl")
    assert read(tmp_path / "h.jsonl") == history.events
