"""Load as Clearway's users make it: airlines, the railway, the lists' maintainers.

    CLEARWAY_API_KEY=… locust -f benchmarks/locustfile.py --headless -u 40 -r 20 -t 60s \
        -H http://127.0.0.1:8080 --people-file list.csv.gz

The key needs `check,standing,list:add,list:remove`. The run ends with status 1 when an
objective is missed. Times are kept in histograms to the microsecond: locust's own
percentiles are whole milliseconds.
"""

from __future__ import annotations

import os
import random
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hdrh.histogram import HdrHistogram
from locust import FastHttpUser, between, constant_throughput, events, task
from locust.runners import MasterRunner, WorkerRunner

from benchmarks.people import Paper, first_people, unlisted
from benchmarks.report import Figure, show

if TYPE_CHECKING:
    from locust.argument_parser import LocustArgumentParser
    from locust.env import Environment

AIR = {"mode": "air"}
TRAINS = (("G101", "O"), ("G7", "M"), ("D301", "O"), ("D11", "F"), ("C2001", "O"), ("K9", "3"))
SEATS = ["O", "M", "9", "W"]
SEEN_WITHIN_S = 5.0
_LONGEST_US = 60_000_000

chance = random.Random()
people: list[Paper] = []
histograms: dict[str, HdrHistogram] = {}


def _options(parser: LocustArgumentParser) -> None:
    """What a run is made of, and what it has to keep; each may be an environment variable."""
    add = parser.add_argument
    add("--people-file", env_var="BENCH_PEOPLE_FILE", default="", help="A generated list")
    add("--people", env_var="BENCH_PEOPLE", type=int, default=50_000, help="How many of it")
    add("--listed", env_var="BENCH_LISTED", type=float, default=0.01, help="Their share of checks")
    add("--check-p99-ms", env_var="BENCH_CHECK_P99_MS", type=float, default=50.0)
    add("--batch-p99-ms", env_var="BENCH_BATCH_P99_MS", type=float, default=200.0)
    add("--standing-p99-ms", env_var="BENCH_STANDING_P99_MS", type=float, default=50.0)
    add("--change-p99-ms", env_var="BENCH_CHANGE_P99_MS", type=float, default=50.0)
    add("--failures", env_var="BENCH_FAILURES", type=float, default=0.0, help="Share allowed")


def _read(environment: Environment, **_: Any) -> None:  # noqa: ANN401 -- locust's
    """The people whom this run asks about."""
    path = _option(environment, "people_file")
    if path and not people and not isinstance(environment.runner, MasterRunner):
        people.extend(first_people(Path(path), _option(environment, "people")))


def _record(name: str, response_time: float, exception: object, **_: Any) -> None:  # noqa: ANN401 -- locust's
    """One answer's time, where it was one."""
    if exception is None:
        _histogram(name).record_value(max(1, round(response_time * 1000)))


def _report(data: dict[str, Any], **_: Any) -> None:  # noqa: ANN401 -- locust's
    """What a worker has measured since it last reported."""
    data["histograms"] = {name: each.encode() for name, each in histograms.items()}
    histograms.clear()


def _reported(data: dict[str, Any], **_: Any) -> None:  # noqa: ANN401 -- locust's
    """The same, as the master gets it."""
    for name, encoded in data.get("histograms", {}).items():
        _histogram(name).decode_and_add(encoded)


def _judge(environment: Environment, **_: Any) -> None:  # noqa: ANN401 -- locust's
    """The figures printed; status 1 where one misses its objective."""
    if isinstance(environment.runner, WorkerRunner):
        return  # the master has everybody's figures
    figures = list(_figures(environment))
    print(show(figures))
    if any(each.missed for each in figures) or not histograms:
        environment.process_exit_code = 1


def _figures(environment: Environment) -> list[Figure]:
    made = []
    for name in sorted(histograms):
        limit = float(_option(environment, f"{name.split()[0]}_p99_ms"))
        for percentile, at_most in ((50, None), (99, limit), (99.9, None)):
            value = histograms[name].get_value_at_percentile(percentile) / 1000
            made.append(Figure(f"{name}: p{percentile:g}", value, "ms", at_most=at_most))
    total = environment.stats.total
    allowed = float(_option(environment, "failures"))
    made.append(Figure("share of failures", total.fail_ratio, at_most=allowed))
    return [*made, Figure("requests a second", total.total_rps)]


def _option(environment: Environment, name: str) -> Any:  # noqa: ANN401 -- an option is what it is
    assert environment.parsed_options is not None, "no command line"
    return getattr(environment.parsed_options, name)


def _histogram(name: str) -> HdrHistogram:
    return histograms.setdefault(name, HdrHistogram(1, _LONGEST_US, 3))


LISTENERS: dict[str, Any] = {
    "init_command_line_parser": _options,
    "test_start": _read,
    "request": _record,
    "report_to_master": _report,
    "worker_report": _reported,
    "quitting": _judge,
}
for _event, _listener in LISTENERS.items():
    getattr(events, _event).add_listener(_listener)


class ClearwayUser(FastHttpUser):
    """What all have in common: a key, and somebody to ask about."""

    abstract = True

    def on_start(self) -> None:
        """Take the key from the environment."""
        self._headers = {"Authorization": f"Bearer {os.environ['CLEARWAY_API_KEY']}"}

    def somebody(self) -> dict[str, str]:
        """A document: of the list now and then, else of nobody on it."""
        if people and chance.random() < _option(self.environment, "listed"):
            return chance.choice(people).json()
        return unlisted(chance).json()

    def ask(self, name: str, path: str, content: object) -> Any:  # noqa: ANN401 -- JSON
        """The answer, or None where it failed; a referral is a failure, for nothing is amiss."""
        with self.client.post(
            path, json=content, headers=self._headers, name=name, catch_response=True
        ) as got:
            return _content(got)

    def check(self, content: dict[str, Any], expected: str = "") -> str:
        """The decision on one traveller; a failure is recorded where another was expected."""
        with self.client.post(
            "/v1/check", json=content, headers=self._headers, name="check", catch_response=True
        ) as answered:
            got: Any = answered  # has no types
            answer = _content(got)
            decision = str(answer["decision"]) if answer else ""
            if answer and expected and decision != expected:
                got.failure(f"{decision} instead of {expected}")
            return decision


def _content(got: Any) -> Any:  # noqa: ANN401 -- locust's answer has no types
    if got.status_code != 200:
        got.failure(f"status {got.status_code}")
        return None
    answer = got.json()
    refers = answer.get("counts", {}).get("refer", 0) + answer.get("counts", {}).get("error", 0)
    if refers or answer.get("decision") == "refer" or answer.get("standing") == "refer":
        got.failure("referred")
    return answer


class Airline(ClearwayUser):
    """Books one by one, and has a whole flight checked before it closes."""

    weight = 4
    wait_time = between(0.05, 0.2)

    @task(12)
    def book(self) -> None:
        """One passenger."""
        self.check({"document": self.somebody(), "journey": AIR})

    @task(1)
    def close_flight(self) -> None:
        """Everybody on board of an A320 to a B777."""
        items = [
            {"document": self.somebody(), "reference": f"seat-{seat}"}
            for seat in range(chance.randrange(120, 350))
        ]
        self.ask("batch", "/v1/check/batch", {"items": items, "journey": AIR})


class Railway(ClearwayUser):
    """Sells seats: mostly one known seat, at times whatever is left, seldom the whole picture."""

    weight = 12
    wait_time = between(0.02, 0.1)

    @task(16)
    def sell(self) -> None:
        """One seat."""
        train, seat = chance.choice(TRAINS)
        journey = {"mode": "rail", "train": train, "seat": seat}
        self.check({"document": self.somebody(), "journey": journey})

    @task(3)
    def offer(self) -> None:
        """Several seats at once."""
        journey = {"mode": "rail", "train": "D301", "seat": SEATS}
        self.check({"document": self.somebody(), "journey": journey})

    @task(1)
    def explain(self) -> None:
        """What somebody may ride at all."""
        self.ask("standing", "/v1/standing", {"document": self.somebody()})


class Maintainer(ClearwayUser):
    """Lists somebody, sees that they are denied, takes them off, sees that they are allowed."""

    weight = 1
    wait_time = constant_throughput(2)

    @task
    def correct(self) -> None:
        """An entry's whole life."""
        question = {"document": unlisted(chance).json(), "journey": AIR}
        entry_id = f"bench-{chance.getrandbits(64):016x}"
        put = {"entry": {"name": "张某某", "case": "(2018)京0105执1号"}}
        if not self._change(question, entry_id, {"op": "put", **put}):
            return
        deadline = time.monotonic() + SEEN_WITHIN_S
        while self.check(question) != "deny" and time.monotonic() < deadline:
            time.sleep(0.005)  # locust has made this gevent's
        self.check(question, expected="deny")
        if self._change(question, entry_id, {"op": "remove", "reason": "performed"}):
            self.check(question, expected="allow")

    def _change(self, question: dict[str, Any], entry_id: str, more: dict[str, Any]) -> bool:
        change = {
            "list": "sx",
            "entry_id": entry_id,
            "revision": time.time_ns() // 1_000_000,
            "document": question["document"],
            **more,
        }
        answer = self.ask("change", "/v1/changes", {"changes": [change]})
        return answer is not None and answer["results"][0].get("outcome") == "applied"
