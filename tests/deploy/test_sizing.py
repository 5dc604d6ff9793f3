"""The sizes that the manual gives: those that the benchmarks have measured, with room to spare."""

from __future__ import annotations

import re

import pytest

from benchmarks.__main__ import BENCHMARKS
from tests.deploy.papers import section
from tests.source import ROOT

SECTION = section("How large")
README = (ROOT / "README.md").read_text(encoding="utf-8")
RESULTS = ROOT / "benchmarks" / "results"
MIB = 1 << 20
UNITS = {"GB": 1_000_000_000, "MB": 1_000_000, "s": 1, "million": 1_000_000}
FILE_BYTES_A_PERSON = 121
ROW_BYTES = 80
WORKER_BYTES = 112_000_000


def rows(heading: str) -> list[list[str]]:
    table = SECTION.split(f"| {heading} |", 1)[1].split("\n\n", 1)[0]
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in table.split("\n")[2:]]


def amounts(text: str) -> list[float]:
    """The numbers of a cell that have a unit, in bytes, seconds or one by one."""
    return [
        float(number) * UNITS[unit]
        for number, unit in re.findall(r"([\d.]+) (GB|MB|million|s)\b", text)
    ]


def scale() -> list[list[float]]:
    """Entries, people, seconds, us an entry, MiB of Valkey, bytes a person, MiB of the loader."""
    text = (RESULTS / "scale.md").read_text(encoding="utf-8")
    found = re.findall(r"^\| ([\d,]+ \|.*) \|$", text, re.MULTILINE)
    numbers = [[float(cell.replace(",", "")) for cell in row.split(" | ")] for row in found]
    return [[row[0], row[1], *row[3:]] for row in numbers]


def told(what: str) -> str:
    (found,) = [cells[1] for cells in rows("what") if cells[0].startswith(what)]
    return found


def test_every_benchmark_that_is_named_is_one() -> None:
    named = re.findall(r"python -m benchmarks (\w+)", SECTION)
    assert set(named) <= set(BENCHMARKS)
    assert named


def test_what_is_reckoned_with_is_what_was_measured() -> None:
    _, _, _, each, _, person, loader = zip(*scale(), strict=True)
    assert f"{min(person):g} to {max(person):g} bytes a person" in told("Redis' memory")
    assert f"{min(loader):g} to {max(loader):g} MiB" in told("the loader's memory")
    assert f"{max(each):.1f} to {min(each):.1f} us an entry" in told("its CPU; its time")
    for words in ("12.5 MiB", "112 MB", "42 MiB more"):
        assert words in README
        assert words in SECTION
    openloop = (RESULTS / "openloop.md").read_text(encoding="utf-8")
    (busy,) = re.findall(
        r"^\| 10,000 .*\| ([\d.]+) \| [\d.]+ \| kept up \|$", openloop, re.MULTILINE
    )
    assert f"{busy} % for 10,000" in told("1,000 single checks")
    workers = (RESULTS / "workers.md").read_text(encoding="utf-8")
    (largest,) = re.findall(r"1 worker: largest RSS \| (\d+) \| MB", workers)
    assert told("a worker, the nation") == f"{largest} MB"


@pytest.mark.parametrize("cells", rows("people, entries"), ids=lambda cells: cells[0])
def test_what_is_to_be_given_is_enough(cells: list[str]) -> None:
    people, entries = amounts(cells[0])
    maxmemory, machine, disk = amounts(cells[1])
    (worker,) = amounts(cells[2])
    memory, space, seconds = amounts(cells[3])
    at = min(scale(), key=lambda row: abs(row[0] - entries))
    person = max(row[5] for row in scale() if row[1] <= people * 1.01)
    assert maxmemory >= 2 * people * person
    assert machine > maxmemory
    assert disk >= 3 * people * FILE_BYTES_A_PERSON * 0.99
    assert worker >= 2 * WORKER_BYTES
    assert memory >= at[6] * MIB
    assert space >= entries * ROW_BYTES
    if at[0] == entries:
        assert seconds == pytest.approx(at[2], rel=0.05)
