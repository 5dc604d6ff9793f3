from __future__ import annotations

import re

from benchmarks.__main__ import BENCHMARKS
from benchmarks.questions.bodies import SHAPES
from tests.benchmarks.ran import figures
from tests.source import ROOT


def test_every_shape_of_request_is_answered_in_process() -> None:
    found = figures("checks", "--people", "500", "--rounds", "1", "--listed", "0.05")
    for shape in SHAPES:
        assert found[shape.name] > 0


def test_the_benchmarks_are_those_that_their_readme_names() -> None:
    text = (ROOT / "benchmarks/README.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^\| `([a-z]+)` \|", text, re.MULTILINE)) == sorted(BENCHMARKS)
