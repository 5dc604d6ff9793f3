from __future__ import annotations

from roster.records.entry import Op, State
from roster.records.meta import Meta, Stamp
from roster.records.position import Position

HELD = {
    b"history": b"7", b"seq": b"8", b"mark": b"mark", b"covered": b"\x01", b"rewound": b"1",
    b"lost_ms": b"11", b"lost_lists": b"\x02", b"accepted": b"12", b"people": b"13",
    b"ever": b"14", b"b:1": b"15:nonce", b"b:9": b"6:other", b"n:1:1": b"16", b"n:1:2": b"17",
    b"n:2:3": b"18", b"p:1": b"19", b"d:1": b"\x01\x00", b"f:1": b"20", b"g:1": b"21",
    b"r:1": b"22", b"t:1:1": b"23",
}  # fmt: skip


def test_each_field_says_what_redis_holds() -> None:
    meta = Meta(HELD)
    assert meta.position(3) == Position(3, 7, 8, b"mark")
    assert (meta.covered, meta.rewound, meta.lost_ms, meta.lost_lists) == (b"\1", True, 11, b"\2")
    assert (meta.accepted_ms, meta.people, meta.ever) == (12, 13, 14)
    assert meta.live_lists == {1}
    assert (meta.begun(1), meta.last_begun_ms) == (Stamp(15, "nonce"), 15)
    assert (meta.entries(2, State.REMOVED), meta.live(1), meta.live(2)) == (18, 33, 0)
    assert (meta.people_on(1), meta.digest(1), meta.floor_ms(1)) == (19, 256, 20)
    assert (meta.forgotten_ms(1), meta.made_good_ms(1), meta.changed_ms(1, Op.PUT)) == (21, 22, 23)


def test_what_redis_does_not_hold_is_nothing() -> None:
    meta = Meta({})
    assert meta.position(3) is None
    assert (meta.covered, meta.rewound, meta.lost_ms, meta.lost_lists) == (b"", False, 0, b"")
    assert (meta.people, meta.ever, meta.last_begun_ms, meta.live_lists) == (0, 0, 0, frozenset())
    assert meta.begun(1) == Stamp(0, "")


def test_what_is_lost_is_told_only_of_the_rewind_that_goes_on() -> None:
    lost, kept = Position(3, 6, 9, b"lost"), Position(3, 6, 8, b"kept")
    held = {b"history": b"7", b"rewound": b"1", b"lost_in": b"7"}
    found = held | {b"lost": lost.wire, b"kept": kept.wire}
    assert (Meta(found).lost(3), Meta(found).kept(3)) == (lost, kept)
    for other in ({b"lost_in": b"6"}, {b"rewound": b"0"}, {b"lost": b"", b"kept": b""}):
        assert (Meta(found | other).lost(3), Meta(found | other).kept(3)) == (None, None)
