from __future__ import annotations

import json
import random
import re
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from benchmarks.__main__ import main
from benchmarks.measuring import plot
from benchmarks.measuring.report import Figure, Report, benchmark, show
from benchmarks.measuring.stage import BenchmarkError
from benchmarks.questions.people import unlisted
from roster.documents.check_digits import remainder

NAME = Path(__file__).stem
LATE = Figure("load", 91.0, "s", at_most=90)
FAST = Figure("ratio", 5.0, "x", at_least=5)


def ended(*arguments: str, report: Report) -> Result:
    @benchmark("Nothing.")
    @click.option("--size", default=1)
    def main(*, size: int) -> Report:
        assert size
        return report

    return CliRunner().invoke(main, arguments)


def test_a_missed_limit_ends_with_status_1() -> None:
    done = ended("--json", report=Report([LATE, FAST]))
    assert done.exit_code == 1
    assert json.loads(done.output)["missed"] == ["load"]


def test_figures_within_their_limits_end_with_status_0() -> None:
    assert ended(report=Report([FAST])).exit_code == 0


def test_a_benchmark_that_cannot_go_on_says_why() -> None:
    @benchmark("Nothing.")
    def main() -> Report:
        raise BenchmarkError("it is not ready")

    done = CliRunner().invoke(main, [])
    assert (done.exit_code, done.output) == (1, "Error: it is not ready\n")


def test_the_table_says_which_limit_is_missed() -> None:
    lines = show([Figure("ratio", 2.5, "x", at_least=3)]).splitlines()
    assert lines[1].split() == ["ratio", "2.5", "x", ">=", "3", "MISSED"]


def test_a_run_is_kept_as_a_table_a_plot_and_a_line_with_machine_and_commit(tmp_path: Path) -> None:
    report = Report([LATE, FAST], [{"list": "sx", "a second": 1_234.0}])
    for size in ("2", "3"):
        ended("--size", size, "--write", str(tmp_path), report=report)
    found = {path.suffix: path.read_text() for path in tmp_path.iterdir()}
    assert "| sx | 1,234 |" in found[".md"]
    assert "| load | 91 | s | <= 90 | MISSED |" in found[".md"]
    assert f"`python -m benchmarks {NAME} --size 3`" in found[".md"]
    assert {">load<", ">ratio<"} <= set(re.findall(">[a-z]+<", found[".svg"]))
    first, second = map(json.loads, found[".jsonl"].splitlines())
    assert (first["options"], second["options"]) == ("--size 2", "--size 3")
    assert second["figures"][0]["value"] == 91
    assert set(second["machine"]) == {"cpu", "cores", "kernel", "python", "server", "commit"}
    assert all(second["machine"].values())


def test_without_write_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ended(report=Report([FAST]))
    assert list(tmp_path.iterdir()) == []


def test_the_same_figures_are_drawn_into_the_same_bytes(tmp_path: Path) -> None:
    one, other = tmp_path / "a" / "x.svg", tmp_path / "b" / "x.svg"
    for path in (one, other):
        path.parent.mkdir()
        plot.bars(path, "x", [plot.Bar("load", 91.0, 90.0, missed=True)])
    assert one.read_bytes() == other.read_bytes()


def test_percentiles_are_drawn_by_their_nines(tmp_path: Path) -> None:
    assert [round(plot.nines(each), 6) for each in (0, 90, 99, 99.9)] == [0, 1, 2, 3]
    points = [(50.0, 0.2), (99.0, 2.0), (100.0, 9.0)]
    panel = plot.Panel("latency", "percentile", {"a": points}, "percentile", [(99.0, 10.0)])
    plot.lines(tmp_path / "x.svg", "x", [panel])
    drawn = (tmp_path / "x.svg").read_text()
    assert {"99.9", "at most 10"} <= set(re.findall(">([a-z0-9 .]+)<", drawn))


def test_the_unlisted_have_valid_numbers_of_nobody_alive() -> None:
    chance = random.Random(1)
    numbers = [unlisted(chance).number for _ in range(1_000)]
    assert all(remainder(number) == 1 and number[6:8] == "18" for number in numbers)


def test_an_unknown_benchmark_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["speed"]) == 2
    assert "python -m benchmarks" in capsys.readouterr().err
