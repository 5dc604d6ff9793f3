"""No change makes a check dearer by a fifth: counted in steps, which have no noise."""

from __future__ import annotations

from benchmarks.questions.bodies import SHAPES
from benchmarks.steps import LISTED, RECORD, VERSION, Steps, figures, recorded
from tests.benchmarks.ran import ran


def test_no_shape_takes_a_fifth_more_steps_than_when_they_were_recorded() -> None:
    known = recorded(RECORD)
    found = ran("steps")["figures"]
    names = {shape.name + more for shape in SHAPES for more in LISTED}
    assert {each["name"] for each in found} == names == set(known["3.11"])
    limited = [each for each in found if each["at_most"] is not None]
    assert len(limited) == (2 * len(names) if VERSION in known else 0)


def test_a_fifth_more_of_either_is_a_figure_that_is_missed() -> None:
    before = {"a": Steps(100.0, 10.0)}
    assert not any(each.missed for each in figures({"a": Steps(119.0, 11.9)}, before))
    assert [each.missed for each in figures({"a": Steps(121.0, 11.9)}, before)] == [True, False]
    assert [each.missed for each in figures({"a": Steps(100.0, 12.1)}, before)] == [False, True]
