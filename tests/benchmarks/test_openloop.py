from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hdrh.histogram import HdrHistogram

from benchmarks.measuring.client import Connection
from benchmarks.openloop import Limits, Ran, Spent, arrivals, figures
from benchmarks.questions.edits import Times
from benchmarks.questions.people import Paper
from benchmarks.questions.traffic import ALLOW, DENY, Cast, Traffic
from tests.benchmarks.ran import ran

if TYPE_CHECKING:
    from pathlib import Path

LIMITS = Limits(5_000, 1.0, 10.0, 50.0, 2.0, 0.0, 0.1)
HEAD = b"HTTP/1.1 200 OK\r\n\r\n"


def test_a_short_loop_has_right_answers_only_and_is_kept(tmp_path: Path) -> None:
    size = "--seconds 1 --warm 0.2 --people 2000 --distinct 400 --connections 8 "
    load = "--rates 150,300 --judged 300 --changes 40 --listed 0.1 "
    # What else this machine does says nothing about times.
    lenient = "--p50-ms 1e9 --p99-ms 1e9 --p999-ms 1e9 --lag-p99-ms 1e9 --failed 100 --referred 100"
    words = (size + load + lenient).split()
    found = ran("openloop", *words, "--write", str(tmp_path))
    assert [row["checks/s"] for row in found["rows"]] == [150, 300]
    assert [row["wrong"] for row in found["rows"]] == [0, 0]
    assert "percentile" in (tmp_path / "openloop.svg").read_text()
    (line,) = (tmp_path / "openloop.jsonl").read_text().splitlines()
    latencies = HdrHistogram.decode(json.loads(line)["runs"][1]["latency_hdr"])
    named = {figure["name"]: figure["value"] for figure in found["figures"]}
    assert latencies.get_total_count() == named["300/s: checks"] > 100


def test_arrivals_are_a_poisson_process() -> None:
    due = arrivals(1_000, 20, seed=1)
    assert due == sorted(due)
    assert due[-1] < 20
    assert len(due) == pytest.approx(20_000, rel=0.03)
    gaps = [later - earlier for earlier, later in pairwise(due)]
    # Of an exponential distribution 1 - 1/e are below the mean, unlike of a steady one.
    assert sum(gap < 0.001 for gap in gaps) / len(gaps) == pytest.approx(0.632, abs=0.02)


def test_an_answer_is_right_wrong_referred_or_failed() -> None:
    people = [Paper("resident_id", "x")]
    traffic = Traffic(Cast(people, people, iter(()), iter(())), Connection(1), 0.5, 1)
    allow, deny = HEAD + b"{" + ALLOW + b"}", HEAD + b"{" + DENY + b"}"
    refer = HEAD + b'{"decision":"refer","reasons":[{"code":"unavailable"}]}'
    stale = HEAD + b"{" + ALLOW + b',"stale":true}'
    said = ((ALLOW, allow), (DENY, deny), (ALLOW, refer), (DENY, allow), (DENY, stale))
    for expected, answer in said:
        traffic.hear(expected, 200, answer)
    traffic.hear(ALLOW, 503, b"")
    assert dict(traffic.referred) == {"unavailable": 1, "stale": 1}
    assert dict(traffic.failed) == {"HTTP 503": 1}
    assert traffic.wrong.total() == 1


def ran_with(latency_s: float = 0.0005, lag_s: float = 0.0001, in_time: float = 1.0) -> Ran:
    return Ran(
        rate=5_000,
        answered_per_s=5_000.0,
        latency=Times([latency_s]),
        lag=Times([lag_s]),
        changes=Times(),
        in_time=in_time,
        waited=0.0,
        failed={},
        referred={},
        wrong={},
        spent=Spent(1.0, 0.1, 0.1, 0.1),
    )


def test_it_is_told_who_could_not_keep_up() -> None:
    assert ran_with().verdict(LIMITS) == "kept up"
    assert ran_with(in_time=0.9).verdict(LIMITS) == "service saturated"
    assert ran_with(lag_s=0.003).verdict(LIMITS) == "generator saturated"


@pytest.mark.parametrize(("late", "missed"), [
    ({}, []),
    ({"latency_s": 0.002}, ["due to answered, p50"]),
    ({"latency_s": 0.02}, ["due to answered, p50", "due to answered, p99"]),
    ({"lag_s": 0.003}, ["the generator's own lag, p99"]),
])  # fmt: skip
def test_a_rate_is_judged_by_its_percentiles(late: dict[str, float], missed: list[str]) -> None:
    found = figures([ran_with(**late)], LIMITS)
    assert [each.name.removeprefix("5,000/s: ") for each in found if each.missed] == missed


def test_other_rates_have_to_be_right_only() -> None:
    lenient = Limits(2_000, 1.0, 10.0, 50.0, 2.0, 0.0, 0.1)
    assert [each.limit for each in figures([ran_with(latency_s=9.0)], lenient)] == ["<= 0"]
