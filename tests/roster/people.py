"""Entries of people who do not exist, as decision tables and properties need them."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Literal

from hypothesis import strategies as st

from roster.records.entry import Content, Entry, NameToken, Registers
from roster.rules.lists import load_lists

LISTS = load_lists()
NOW_MS = 1_773_115_200_000
"""2026-03-10 12:00 in Beijing."""

MODES: tuple[Literal["air", "rail", "ship"], ...] = ("air", "rail", "ship")
TRAINS = {
    "G": ("G101",),
    "D": ("D301",),
    "C": ("C2001",),
    "*": ("Z9", "T110", "K123", "L7", "1461"),
}
SEATS = tuple("O8W1235J9PDM7EFAI46HGL0BCKQS")
CABINS = ("special", "first", "second", "third", "fourth", "fifth", "seat")

CODES = {
    "sx": 1, "xgl": 2, "ndrc-rail-conduct": 3, "ndrc-rail": 4, "ndrc-air": 5,
    "lift": 200, "bind": 201, "canary": 202,
}  # fmt: skip
STATES = {
    "active": Registers(listed_at=1),
    "suspended": Registers(listed_at=1, suspended_at=2),
    "removed": Registers(listed_at=1, removed_at=2),
    "absent": Registers(listed_at=1, absent_at=2),
    "unknown": Registers(suspended_at=2),
}


def entry(of: str, content: Content, state: str = "active") -> Entry:
    """An entry on the list called `of`."""
    return Entry(CODES[of], content.entry_id.encode()[:6], STATES[state], content)


def token(name: str) -> NameToken:
    """A name token: Latin names are the same in any order of their words."""
    latin = name.isascii()
    text = " ".join(sorted(name.split())) if latin else name
    digest = int.from_bytes(hashlib.sha256(text.encode()).digest()[:3], "big")
    return NameToken(latin << 30 | digest)


def beijing_ms(text: str, *, end: bool = False) -> int:
    """A day or a minute in Beijing; a day's `end` is the first instant after it."""
    moment = datetime.fromisoformat(text).replace(tzinfo=UTC) - timedelta(hours=8)
    if end and "T" not in text:
        moment += timedelta(days=1)
    return int(moment.timestamp()) * 1000


NAMES = tuple(token(name) for name in ("张三", "李四", "ZHANG SAN", "LI SI"))
CASES = ("", "(2018)京0105执1234号", "(2019)京03执446号")
TIMES = tuple(NOW_MS + days * 86_400_000 for days in (-20, -10, 0, 10, 20))

_windows = st.tuples(st.none() | st.sampled_from(TIMES), st.none() | st.sampled_from(TIMES))
_names = st.lists(st.sampled_from(NAMES), max_size=2, unique=True).map(tuple)


@st.composite
def restrictions(draw: st.DrawFn) -> Entry:
    """Any entry of any list that restricts, in any state."""
    start, end = draw(_windows)
    content = Content(
        entry_id=draw(st.sampled_from("abcdef")),
        names=draw(_names),
        from_ms=start,
        until_ms=end,
        case=draw(st.sampled_from(CASES)),
    )
    of = draw(st.sampled_from([name for name, code in CODES.items() if code < 200]))
    return entry(of, content, draw(st.sampled_from(["active", "active", *STATES])))


@st.composite
def lifts(draw: st.DrawFn) -> Entry:
    """Any temporary permission, or any mistaken identity."""
    start, end = draw(_windows)
    restricting = [name for name, code in CODES.items() if code < 200]
    content = Content(
        entry_id=draw(st.sampled_from("uvwxyz")),
        names=draw(_names),
        from_ms=start,
        until_ms=end,
        modes=draw(st.lists(st.sampled_from(MODES), max_size=2).map(tuple)),
        lifts=draw(st.lists(st.sampled_from(restricting), max_size=3).map(tuple)),
        cases=draw(st.lists(st.sampled_from(CASES[1:]), max_size=1).map(tuple)),
        kind=draw(st.sampled_from(["", "", "mistaken_identity"])),
    )
    return entry("lift", content, draw(st.sampled_from(["active", "active", *STATES])))
