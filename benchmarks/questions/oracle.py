"""What a list file says of a person, read once more in plain code.

It follows docs/domain.md, Seats and trains, and docs/domain.md, Beginning and end, by the letter
and shares nothing with `roster/`: where the two differ, one of them is wrong. It knows only
journeys about which the text leaves no doubt.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from benchmarks.questions.people import Row

BEIJING = timezone(timedelta(hours=8))
NO_HIGH_LIFE = ("sx", "xgl")
ALL_FLIGHTS = ("sx", "xgl", "ndrc-air")
HIGH_SEATS = ("sx", "xgl", "ndrc-rail")
ALL_TRAINS = ("ndrc-rail-conduct",)

# Seats that 384号 and 法释〔2015〕17号 forbid, by the train's letter; the rest are allowed.
_FORBIDDEN = {
    "G": set("9PDMO7W"),
    "D": set("9PDM7AIF"),
    "C": set("9PDM7"),
    "Z": set("46H"),
    "T": set("46"),
    "K": set("46"),
}
_SOLD = {
    "G": "9PDMOW",
    "D": "9MO8WAIF",
    "C": "9MO8W",
    "Z": "46H123W",
    "T": "46123W",
    "K": "46123W",
}
_CABINS = ("special", "first", "second", "third", "fourth", "fifth", "seat")
_FORBIDDEN_CABINS = ("special", "first", "second")
_A_STRANGER = "欧阳查无此人"


class Asked(NamedTuple):
    """One question about a person."""

    journey: dict[str, str]
    name: str | None = None

    @property
    def departs_at(self) -> datetime | None:
        """When the journey begins, where that was said."""
        text = self.journey.get("departs_at")
        return datetime.fromisoformat(text) if text else None


class Expected(NamedTuple):
    """The right answer; `entries` are those that may be named as its reasons."""

    decision: str
    name_check: str | None
    entries: frozenset[tuple[str, str]]


def question(chance: random.Random, names: Sequence[str]) -> Asked:
    """A journey of any kind, at times with a departure, with the name or with another one."""
    mode = chance.choice(("air", "air", "rail", "rail", "rail", "ship"))
    journey = {"mode": mode}
    if mode == "rail":
        letter = chance.choice("GGDDCZTK")
        journey |= {"train": f"{letter}{chance.randrange(1, 9999)}"}
        journey |= {"seat": chance.choice(_SOLD[letter])}
    elif mode == "ship":
        journey |= {"cabin": chance.choice(_CABINS)}
    if chance.random() < 0.25:
        year = chance.choice((2019, 2030, 2092, 2096, 2099))
        journey |= {"departs_at": f"{year}-0{chance.randrange(1, 10)}-15T09:30:00+08:00"}
    lot = chance.random()
    name = chance.choice(names) if lot < 0.4 and names else None
    return Asked(journey, _A_STRANGER if lot > 0.95 else name)


def answer(rows: Sequence[Row], asked: Asked, at: datetime | None = None) -> Expected:
    """The right answer to the question about the person of these rows."""
    times = [at or now()]
    if asked.departs_at:
        times.append(asked.departs_at)
    forbidding = [
        row
        for row in rows
        if forbids(row["list"], asked.journey) and any(binds(row, time) for time in times)
    ]
    checks = [same_name(row, asked.name) for row in forbidding]
    confirmed = any(same_name(row, asked.name) == "match" for row in rows)
    entries = frozenset((row["list"], row["entry_id"]) for row in forbidding)
    if not forbidding:
        return Expected("allow", None, entries)
    doubted = all(check == "mismatch" for check in checks) and not confirmed
    return Expected("refer" if doubted else "deny", checks[0], entries)


def now() -> datetime:
    """The present moment."""
    return datetime.now(UTC)


def binds(row: Row, time: datetime) -> bool:
    """Whether the entry holds at that moment."""
    if row["state"] not in ("", "active"):
        return False
    if row["from"] and time < midnight(row["from"]):
        return False
    return not row["until"] or time < midnight(row["until"]) + timedelta(days=1)


def midnight(day: str) -> datetime:
    """The first moment of a day in Beijing."""
    return datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=BEIJING)


def forbids(list_name: str, journey: dict[str, str]) -> bool:
    """Whether the list forbids that journey."""
    if journey["mode"] == "air":
        return list_name in ALL_FLIGHTS
    if journey["mode"] == "ship":
        return list_name in NO_HIGH_LIFE and journey["cabin"] in _FORBIDDEN_CABINS
    if list_name in ALL_TRAINS:
        return True
    return list_name in HIGH_SEATS and journey["seat"] in _FORBIDDEN[journey["train"][0]]


def same_name(row: Row, name: str | None) -> str | None:
    """How a name that was sent compares with the entry's: only within one script."""
    if name is None:
        return None
    names = row["name"].split("|")
    if all(name.isascii() != each.isascii() for each in names):
        return "not_compared"
    return "match" if name in names else "mismatch"
