from __future__ import annotations

import csv
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from benchmarks.measuring.stage import stage
from benchmarks.questions.people import Paper, paper_of, rows
from benchmarks.users.judging import batch_of
from benchmarks.users.wire import Service, Wire
from tests.source import ROOT

ANYTHING = [
    *(f"--{name}-p99-ms=1e9" for name in ("check", "batch", "at-least", "standing", "change")),
    *("--feed-p99-ms=1e9", "--failures=1", "--referrals=1", "--unsent=1", "--told-s=60"),
]
KINDS = ("check air", "check rail", "check seats", "check changed", "batch flight", "batch train",
         "standing", "change single", "feed told")  # fmt: skip


class Place(NamedTuple):
    folder: Path
    file: Path
    others: Path
    env: dict[str, str]


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with stage() as made, made.server():
        file = made.generate(300, 520)
        made.load(file)
        key = made.key("check", "standing", "feed", "list:add", "list:remove")
        with made.serve() as service:
            env = {"CLEARWAY_URL": f"http://127.0.0.1:{service.port}", "CLEARWAY_API_KEY": key}
            yield Place(made.folder, file, made.generate(100, 120, 2), os.environ | env)


def load(env: dict[str, str], *words: str) -> tuple[int, str]:
    """The status of a load, and all that it has said."""
    command = [sys.executable, "-m", "locust", "-f", "benchmarks/locustfile.py", "--headless"]
    done = subprocess.run(
        [*command, "--only-summary", "--unlisted", "2000", *words],
        cwd=ROOT,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        text=True,
    )
    return done.returncode, done.stdout


def figures(prefix: Path) -> dict[str, float]:
    with Path(f"{prefix}_figures.csv").open(newline="", encoding="utf-8") as file:
        return {row["figure"]: float(row["value"]) for row in csv.DictReader(file)}


def decisions(place: Place, papers: set[Paper]) -> set[str]:
    """What the service decides of these people who want to fly."""
    wire = Wire(Service(place.env["CLEARWAY_URL"], place.env["CLEARWAY_API_KEY"]), 60.0)
    items = [{"document": paper.json()} for paper in papers]
    batch = {"items": items, "journey": {"mode": "air"}}
    results = batch_of(wire.post("/v1/check/batch", msgspec.json.encode(batch)).body).results
    wire.close()
    return {result.decision for result in results}


def test_two_workers_under_bursts_are_answered_as_the_list_says(place: Place) -> None:
    prefix, page = place.folder / "made" / "whole", place.folder / "made" / "whole.html"
    status, said = load(
        place.env,
        *("--people-file", str(place.file), "--processes", "2", *ANYTHING),
        *("-u", "16", "-r", "100", "-t", "7s", "--pace", "5", "--listed", "0.3"),
        *("--maintainers", "2", "--held-s", "0.2", "--bulk", "10"),
        *("--shape", "bursts", "--hour-s", "3", "--burst-s", "1.5", "--burst-times", "2"),
        *("--csv", str(prefix), "--html", str(page)),
    )
    assert status == 0, said
    found = figures(prefix)
    assert [kind for kind in KINDS if f"{kind}: p99" not in found] == []
    assert found["checks a second"] > found["requests a second"] > 0
    assert "Sending spawn jobs of 16 users" in said
    assert "Sending spawn jobs of 32 users" in said
    assert "check air" in Path(f"{prefix}_stats.csv").read_text(encoding="utf-8")
    assert "check air" in page.read_text(encoding="utf-8")


def test_a_file_that_is_not_what_was_loaded_fails_the_run(place: Place) -> None:
    """Whoever is on the list has been taken off, it says, and others are on it."""
    lies, prefix = place.folder / "lies.csv", place.folder / "lies"
    others = [*rows(place.others)]
    told = [row | {"state": "removed"} for row in rows(place.file)] + others
    with lies.open("w", newline="", encoding="utf-8") as file:
        out = csv.DictWriter(file, told[0])
        out.writeheader()
        out.writerows(told)
    status, said = load(
        place.env,
        *("--people-file", str(lies), *ANYTHING, "--csv", str(prefix)),
        *("-u", "8", "-r", "100", "-t", "3s", "--listed", "0.9", "--pace", "10"),
    )
    assert status == 1, said
    assert figures(prefix)["false denials"] > 0
    assert figures(prefix)["listed people allowed"] > 0
    assert "missed: false denials, listed people allowed" in said
    assert decisions(place, {paper_of(row) for row in others}) == {"allow"}  # nobody was "put back"


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"CLEARWAY_URL": ""}, "CLEARWAY_URL, or --host, has to say where the service is"),
        ({"CLEARWAY_API_KEY": ""}, "CLEARWAY_API_KEY has to be a key"),
        ({"CLEARWAY_API_KEY": "cw_1_2"}, "status 401"),
        ({"BENCH_PEOPLE_FILE": "not-there.csv"}, "cannot be read: FileNotFoundError"),
    ],
)
def test_what_cannot_begin_says_why_and_ends_with_status_2(
    place: Place, wrong: dict[str, str], told: str
) -> None:
    env = place.env | {"BENCH_PEOPLE_FILE": str(place.file)} | wrong
    status, said = load(env, "-t", "1s")
    assert told in said
    assert status == 2
