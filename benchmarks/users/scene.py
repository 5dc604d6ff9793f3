"""What the users of one process share: whom they ask about, what they know, what they measure."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.questions import oracle
from benchmarks.users.journeys import timetable
from benchmarks.users.tally import Tally
from benchmarks.users.travellers import share

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from benchmarks.questions.people import Row
    from benchmarks.users.travellers import People, Rows, Traveller
    from benchmarks.users.wire import Service


class Plan(NamedTuple):
    """How a load asks; an addition is denied everywhere `added_s` after its acknowledgement."""

    listed: float
    pace: float
    bulk: int
    held_s: float
    added_s: float
    told_s: float


class Edit(NamedTuple):
    """Somebody, the entries that they have, and those that they are to have."""

    traveller: Traveller
    before: Rows
    after: Rows


class Told:
    """The changes of which one consumer of the feed has still to hear, by pseudonym."""

    def __init__(self, tally: Tally) -> None:
        """Of what is changed from now on."""
        self._tally = tally
        self._due: dict[str, float] = {}

    def expect(self, subjects: Iterable[str], at_s: float) -> None:
        """Changes to these are sent at that moment."""
        for subject in subjects:
            self._due.setdefault(subject, at_s)

    def forget(self, subjects: Iterable[str]) -> None:
        """These changes were not acknowledged: nobody need be told."""
        for subject in subjects:
            self._due.pop(subject, None)

    def heard(self, subjects: Iterable[str], at_s: float) -> None:
        """The feed has told of these."""
        for subject in subjects:
            if sent_s := self._due.pop(subject, 0.0):
                self._tally.time("feed told", at_s - sent_s)

    def overdue(self, before_s: float) -> int:
        """How many were sent before that and have not been told of; they are given up."""
        late = [subject for subject, sent_s in self._due.items() if sent_s < before_s]
        self.forget(late)
        return len(late)


class Scene:
    """All of it; `people` are there once they are read."""

    def __init__(self, service: Service, plan: Plan) -> None:
        """A load on that service."""
        self.service, self.plan = service, plan
        self.tally = Tally()
        self.timetable = timetable(oracle.now())
        self.chance = random.Random()
        self.position = ""
        self.consumers: set[Told] = set()
        self.mine: list[Traveller] = []
        self._listed: list[Traveller] = []
        self._unlisted: list[Traveller] = []

    def begin(self, people: People, index: int, workers: int) -> None:
        """These are asked about, by this one of so many workers."""
        mine = share(people.listed, index, workers)
        self._listed, self.mine = mine.steady, mine.mine
        self._unlisted = people.unlisted
        for each in self.mine:
            each.doubt()
        self.chance.shuffle(self.mine)
        self.tally.clear()

    def somebody(self) -> Traveller:
        """Somebody who is listed as often as the plan says."""
        chance = self.chance.random
        pool = self._unlisted
        if self._listed and chance() < self.plan.listed:
            pool = self._listed
        return pool[int(chance() * len(pool))]

    def sent(self, edits: Sequence[Edit]) -> None:
        """They are about to be sent: what was before holds or what is after, and the feed tells."""
        now_s = time.monotonic()
        for edit in edits:
            edit.traveller.change(edit.after, now_s)
        subjects = _subjects(edits)
        for consumer in self.consumers:
            consumer.expect(subjects, now_s)

    def acknowledged(self, edits: Sequence[Edit], position: str, at_s: float) -> None:
        """What was before is over, soon where somebody was put back; all may ask about them."""
        self.position = position
        for traveller, before, after in edits:
            added = not {*map(_entry, after)} <= {*map(_entry, before)}
            traveller.settle(position, at_s, self.plan.added_s if added else 0.0)
            if not traveller.certain:
                traveller.certain = True
                self._listed.append(traveller)

    def refused(self, edits: Sequence[Edit]) -> None:
        """Nobody acknowledged them, so nobody need be told."""
        for consumer in self.consumers:
            consumer.forget(_subjects(edits))


def _entry(row: Row) -> tuple[str, str]:
    return row["list"], row["entry_id"]


def _subjects(edits: Sequence[Edit]) -> list[str]:
    return [edit.traveller.subject for edit in edits if edit.traveller.subject]
