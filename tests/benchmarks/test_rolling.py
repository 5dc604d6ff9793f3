"""No check is lost while processes are replaced behind a balancer."""

from __future__ import annotations

import pytest

from tests.benchmarks.ran import figures

SIZE = "--people 5000 --distinct 2000 --drain-s 1"
LENIENT = "--referred 100"  # what else this machine does says nothing about it


@pytest.mark.timeout(300)
def test_no_check_is_lost_while_every_process_is_replaced() -> None:
    words = f"{SIZE} {LENIENT} --rate 200 --rounds 1 --changes 4 --connections 16".split()
    found = figures("rolling", *words)
    assert (found["checks lost"], found["changes lost"], found["wrong answers"]) == (0, 0, 0)
    assert found["processes replaced"] == 2
    assert found["checks"] > 200
    assert found["changes"] > 1


@pytest.mark.soak
def test_no_check_of_1000_a_second_is_lost_while_every_process_is_replaced_twice() -> None:
    found = figures("rolling", *LENIENT.split())
    assert (found["checks lost"], found["changes lost"], found["wrong answers"]) == (0, 0, 0)
    assert found["processes replaced"] == 4
