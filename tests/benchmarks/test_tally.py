from __future__ import annotations

import pytest

from benchmarks.users.judging import FALSE_ALLOW, FALSE_DENIAL, REFERRED, WRONG
from benchmarks.users.scene import Told
from benchmarks.users.tally import CHECKS, FAILED, REQUESTS, STARTED, UNSENT, Limits, Tally, figures
from benchmarks.users.tally import saturation as said

LIMITS = Limits({"check": 50.0}, failed=0.0, referred=0.01, unsent=0.05, rate=0.0)


def asked(**counts: int) -> Tally:
    tally = Tally()
    tally.counts.update({REQUESTS: 100, CHECKS: 100, STARTED: 100, **counts})
    tally.time("check air", 0.010)
    return tally


def missed(tally: Tally, limits: Limits = LIMITS) -> list[str]:
    return [each.name for each in figures(tally, limits, 10.0) if each.missed]


def test_a_load_that_keeps_its_objectives_misses_nothing() -> None:
    assert missed(asked()) == []


@pytest.mark.parametrize(
    ("counted", "name"),
    [
        (FALSE_DENIAL, "false denials"),
        (FALSE_ALLOW, "listed people allowed"),
        (f"{WRONG}: other seats", "answers wrong otherwise"),
        (FAILED, "share of failed requests"),
    ],
)
def test_one_wrong_answer_of_a_hundred_is_missed(counted: str, name: str) -> None:
    assert missed(asked(**{counted: 1})) == [name]


def test_referrals_are_counted_by_reason_and_only_too_many_are_missed() -> None:
    few, many = asked(**{f"{REFERRED}stale": 1}), asked(**{f"{REFERRED}stale": 2})
    assert missed(few) == []
    assert missed(many) == ["share referred though they need not be"]
    assert [
        each.value for each in figures(many, LIMITS, 10.0) if each.name == "referred: stale"
    ] == [2]


def test_slow_answers_few_requests_and_a_load_not_reached_are_missed() -> None:
    tally = asked(**{UNSENT: 10})
    tally.time("check air", 0.100)
    assert missed(tally, LIMITS._replace(rate=11.0)) == [
        "check air: p99",
        "requests a second",
        "share of what was planned that was not sent",
    ]


def test_what_workers_have_measured_adds_up() -> None:
    master, worker = Tally(), asked(**{FALSE_DENIAL: 2})
    worker.second(0.5, 1.0)
    for _ in range(2):
        master.add(worker.taken())
        worker.counts[FALSE_DENIAL] += 1
    assert master.counts[REQUESTS] == 100
    assert master.counts[FALSE_DENIAL] == 3
    assert master.busiest == 0.5
    assert master.histograms["check air"].get_total_count() == 1


def test_a_saturated_generator_says_so() -> None:
    busy, starved, slow, good = asked(), asked(), asked(**{UNSENT: 10}), asked()
    starved.late(0.2)
    for second in range(10):
        busy.second(0.99 if second else 0.1, 1.0)
        good.second(0.5, 1.0)
    assert "THE GENERATOR IS SATURATED" in said(busy, LIMITS)
    assert "THE GENERATOR IS SATURATED" in said(starved, LIMITS)
    assert "THE LOAD WAS NOT REACHED" in said(slow, LIMITS)
    assert said(good, LIMITS) == ""


def test_a_consumer_is_told_once_and_misses_what_it_is_not_told_in_time() -> None:
    tally = Tally()
    told = Told(tally)
    told.expect(["one", "two", "three"], 1.0)
    told.heard(["one", "one", "stranger"], 1.5)
    told.forget(["three"])
    assert tally.histograms["feed told"].get_total_count() == 1
    assert told.overdue(0.5) == 0
    assert told.overdue(2.0) == 1
    assert told.overdue(2.0) == 0
