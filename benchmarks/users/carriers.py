"""Users who carry people: counters that ask one by one, manifests of whole flights and trains."""

from __future__ import annotations

from locust import task

from benchmarks.users.journeys import Question, name_for
from benchmarks.users.judging import Moments, standing_fault, standing_of
from benchmarks.users.user import ClearwayUser, decoded

_ROWS = "ABCDEF"


class AirCounter(ClearwayUser):
    """An airline's counter: one passenger, one flight, as a rule with the name."""

    weight = 6

    @task
    def sell(self) -> None:
        """One ticket."""
        somebody = self.scene.somebody()
        name = name_for(somebody, self.scene.chance)
        self.check("check air", Question(somebody, self.scene.timetable.air, name))


class RailCounter(ClearwayUser):
    """A railway's counter: mostly one seat, at times whatever is left, seldom the whole picture."""

    weight = 6

    @task(16)
    def sell(self) -> None:
        """One seat, with the name."""
        somebody, chance = self.scene.somebody(), self.scene.chance
        name = name_for(somebody, chance)
        self.check(
            "check rail", Question(somebody, chance.choice(self.scene.timetable.seats), name)
        )

    @task(3)
    def offer(self) -> None:
        """Several seats at once."""
        offer = self.scene.chance.choice(self.scene.timetable.offers)
        self.check("check seats", Question(self.scene.somebody(), offer))

    @task(1)
    def explain(self) -> None:
        """What somebody may ride at all."""
        somebody = self.scene.somebody()
        reply = self.wire.post("/v1/standing", b'{"document":' + somebody.json + b"}")
        answer, wrong = decoded(standing_of, reply)
        if answer is not None:
            moments = Moments(reply.asked_s, reply.answered_s)
            wrong = [found] if (found := standing_fault(somebody, answer, moments)) else []
        self.note("standing", reply, wrong)


class FlightManifest(ClearwayUser):
    """An airline before a flight closes: all on board, papers of every kind, one departure."""

    weight = 1
    pace = 0.2

    @task
    def close(self) -> None:
        """A flight of an A320 to a B777."""
        flight = self.scene.chance.choice(self.scene.timetable.flights)
        seats = range(self.scene.chance.randrange(120, 350))
        places = (f"{seat // 6 + 1}{_ROWS[seat % 6]}" for seat in seats)
        self.batch("flight", [self.passenger(flight, place) for place in places], flight)


class TrainManifest(ClearwayUser):
    """The railway before a day's trains leave: each with a journey, a seat, a name, a reference."""

    weight = 1
    pace = 0.2

    @task
    def close(self) -> None:
        """As many as a batch may hold, or half of that."""
        chance, seats = self.scene.chance, self.scene.timetable.seats
        numbers = range(chance.choice((500, 1_000)))
        tickets = [self.passenger(chance.choice(seats), f"E{number:09}") for number in numbers]
        self.batch("train", tickets, None)
