from __future__ import annotations

import random

import pytest

from benchmarks.__main__ import main
from benchmarks.people import unlisted
from benchmarks.report import Figure, finish, show
from roster.check_digits import remainder


def test_a_missed_limit_ends_with_status_1() -> None:
    with pytest.raises(SystemExit) as ended:
        finish([Figure("load", 91.0, "s", at_most=90)], as_json=True)
    assert ended.value.code == 1


def test_figures_within_their_limits_end_with_status_0() -> None:
    figures = [Figure("load", 90.0, "s", at_most=90), Figure("ratio", 5.0, at_least=5)]
    with pytest.raises(SystemExit) as ended:
        finish(figures, as_json=False)
    assert ended.value.code == 0


def test_the_table_says_which_limit_is_missed() -> None:
    lines = show([Figure("ratio", 2.5, "x", at_least=3)]).splitlines()
    assert lines[1].split() == ["ratio", "2.5", "x", ">=", "3", "MISSED"]


def test_the_unlisted_have_valid_numbers_of_nobody_alive() -> None:
    chance = random.Random(1)
    numbers = [unlisted(chance).number for _ in range(1_000)]
    assert all(remainder(number) == 1 and number[6:8] == "18" for number in numbers)


def test_an_unknown_benchmark_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["speed"]) == 2
    assert "python -m benchmarks" in capsys.readouterr().err
