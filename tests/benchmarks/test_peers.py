from __future__ import annotations

from benchmarks.questions.bodies import SHAPES
from tests.benchmarks.ran import figures

LEAST = ("--single-peer", "--single-constant", "--batch-peer", "--small-batch-peer")
MOST = ("--single-cpu", "--batch-cpu")


def test_every_shape_of_request_is_decided_and_measured() -> None:
    size = ("--people", "2000", "--distinct", "2000", "--rounds", "1", "--seconds", "0.3")
    limits = [word for each in LEAST for word in (each, "0")]
    limits += [word for each in MOST for word in (each, "1e9")]
    found = figures("peers", *size, "--listed", "0.05", *limits)
    for shape in SHAPES:
        assert found[f"{shape.name}: throughput over the peer's"] > 0
    assert found["failed requests"] == 0
