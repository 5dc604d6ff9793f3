"""What carriers ask: a traveller, a journey, and the name on the ticket, as JSON that is ready."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from benchmarks.questions import oracle

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from benchmarks.users.travellers import Traveller

A_STRANGER = "欧阳查无此人"
TRAINS_A_LETTER = 12
_SOLD = {"G": "OM9", "D": "OM8", "C": "OMW", "Z": "134", "T": "134", "K": "134"}
_STRANGERS = 0.02  # somebody travels on the document of somebody else
_NAMELESS = 0.2


class Journey(NamedTuple):
    """One journey as a request says it, and as the oracle is asked: once for each of its seats."""

    json: bytes
    asked: tuple[dict[str, str], ...]
    several: bool = False


class Question(NamedTuple):
    """A check of somebody's journey."""

    traveller: Traveller
    journey: Journey
    name: str | None = None
    reference: str | None = None
    at_least: str = ""

    def json(self, *, shared: bool = False) -> bytes:
        """As a request says it; without the journey where that is `shared` by a whole batch."""
        parts = [b'{"document":', self.traveller.json]
        if not shared:
            parts += b',"journey":', self.journey.json
        if self.name is not None:
            parts += b',"name":"', self.name.encode(), b'"'
        if self.reference is not None:
            parts += b',"reference":"', self.reference.encode(), b'"'
        if self.at_least:
            parts += b',"at_least":"', self.at_least.encode(), b'"'
        parts.append(b"}")
        return b"".join(parts)


class Timetable(NamedTuple):
    """What may be sold: a flight, flights that depart some day, a seat, several seats at once."""

    air: Journey
    flights: Sequence[Journey]
    seats: Sequence[Journey]
    offers: Sequence[Journey]


def timetable(now: datetime) -> Timetable:
    """What is sold today, of which all but `air` and half of the seats depart in some days."""
    days = [now.astimezone(oracle.BEIJING) + timedelta(days=days) for days in (1, 3, 19)]
    departures = [f"{day:%Y-%m-%d}T09:30:00+08:00" for day in days]
    return Timetable(
        _journey({"mode": "air"}),
        [_journey({"mode": "air", "departs_at": each}) for each in departures],
        [each for at in ("", *departures[1:]) for each in _trains(at, several=False)],
        [each for at in ("", departures[0]) for each in _trains(at, several=True)],
    )


def name_for(traveller: Traveller, chance: random.Random, *, always: bool = False) -> str | None:
    """The name on a ticket: as a rule the document's, at times a stranger's or none."""
    lot = chance.random()
    if lot < _STRANGERS:
        return A_STRANGER
    return traveller.name if always or lot > _NAMELESS else None


def _trains(departs_at: str, *, several: bool) -> Iterator[Journey]:
    more = {"departs_at": departs_at} if departs_at else {}
    for letter, sold in _SOLD.items():
        for number in range(1, TRAINS_A_LETTER + 1):
            train = {"mode": "rail", "train": f"{letter}{number}"}
            for seats in (sold,) if several else sold:
                yield _journey(train | more, seats)


def _journey(said: dict[str, str], seats: str = "") -> Journey:
    if not seats:
        return Journey(msgspec.json.encode(said), (said,))
    shown = msgspec.json.encode(said | {"seat": seats if len(seats) == 1 else [*seats]})
    return Journey(shown, tuple(said | {"seat": seat} for seat in seats), len(seats) > 1)
