from __future__ import annotations

import random

import pytest

from benchmarks.edits import addition, require_applied
from benchmarks.people import unlisted
from benchmarks.stage import BenchmarkError
from roster.texts import holds_id_number


def test_an_addition_that_is_not_applied_is_told_at_once() -> None:
    with pytest.raises(BenchmarkError, match="rejected"):
        require_applied({"outcome": "rejected", "errors": []})


def test_no_addition_is_refused_for_an_id_number_in_its_entry_id() -> None:
    chance = random.Random(1)
    paper = unlisted(chance)
    ids = [addition(chance, paper)["entry_id"] for _ in range(20_000)]
    assert len(set(ids)) == len(ids)
    assert not any(holds_id_number(entry_id) for entry_id in ids)
