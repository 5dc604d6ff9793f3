from __future__ import annotations

import random

import pytest

from benchmarks.measuring.stage import BenchmarkError
from benchmarks.questions.edits import addition, require_applied
from benchmarks.questions.people import unlisted
from roster.documents.check_digits import holds_id_number
from tests.benchmarks.ran import figures


def test_an_addition_that_is_not_applied_is_told_at_once() -> None:
    with pytest.raises(BenchmarkError, match="rejected"):
        require_applied({"outcome": "rejected", "errors": []})


def test_no_addition_is_refused_for_an_id_number_in_its_entry_id() -> None:
    chance = random.Random(1)
    paper = unlisted(chance)
    ids = [addition(chance, paper)["entry_id"] for _ in range(20_000)]
    assert len(set(ids)) == len(ids)
    assert not any(holds_id_number(entry_id) for entry_id in ids)


def test_a_small_flood_is_measured_with_what_it_costs_and_what_the_disk_does() -> None:
    size = ("--single", "3", "--rate", "10", "--batch", "20", "--seconds", "4", "--additions", "2")
    names = ("--p50-ms", "--p99-ms", "--lag-p99-ms", "--addition-p99-ms", "--referred")
    found = figures("removal", *size, *(word for name in names for word in (name, "20000")))
    assert found["wrong among them"] == found["wrong beside it"] == 0
    for name in ("the server", "who changes", "who is asked"):
        assert found[f"CPU a removal, {name}"] > 0
    assert found["a sync of a file beside it: p50"] > 0
    assert 0 <= found["the server's syncs of its log: longest"] < 20_000
