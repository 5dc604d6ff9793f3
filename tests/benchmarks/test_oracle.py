from __future__ import annotations

from datetime import datetime

import pytest

from benchmarks.questions.oracle import BEIJING, Asked, answer, binds

ROW = {
    "list": "sx",
    "entry_id": "(2018)京0105执1号/1",
    "document_type": "resident_id",
    "document_number": "440524188001010014",
    "document_issuer": "",
    "name": "张某某",
    "state": "",
    "from": "2018-03-01",
    "until": "2020-02-29",
}
WITHIN = datetime(2019, 1, 1, tzinfo=BEIJING)


def row(**cells: str) -> dict[str, str]:
    return ROW | {name.rstrip("_"): text for name, text in cells.items()}


@pytest.mark.parametrize(
    ("moment", "holds"),
    [
        (datetime(2018, 2, 28, 23, 59, tzinfo=BEIJING), False),
        (datetime(2018, 3, 1, tzinfo=BEIJING), True),
        (datetime(2020, 2, 29, 23, 59, tzinfo=BEIJING), True),
        (datetime(2020, 3, 1, tzinfo=BEIJING), False),
    ],
)
def test_a_term_holds_from_its_first_instant_to_the_end_of_its_last_day(
    moment: datetime, holds: bool
) -> None:
    assert binds(ROW, moment) is holds


@pytest.mark.parametrize(
    ("name", "mode", "more", "decision"),
    [
        ("sx", "air", {}, "deny"),
        ("ndrc-rail", "air", {}, "allow"),
        ("ndrc-rail", "rail", {"train": "G1", "seat": "O"}, "deny"),
        ("ndrc-air", "rail", {"train": "G1", "seat": "O"}, "allow"),
        ("xgl", "rail", {"train": "D1", "seat": "O"}, "allow"),
        ("xgl", "rail", {"train": "D1", "seat": "F"}, "deny"),
        ("xgl", "rail", {"train": "K1", "seat": "3"}, "allow"),
        ("ndrc-rail-conduct", "rail", {"train": "K1", "seat": "3"}, "deny"),
        ("sx", "ship", {"cabin": "second"}, "deny"),
        ("sx", "ship", {"cabin": "third"}, "allow"),
        ("ndrc-rail", "ship", {"cabin": "first"}, "allow"),
    ],
)
def test_a_list_forbids_what_the_law_names(
    name: str, mode: str, more: dict[str, str], decision: str
) -> None:
    asked = Asked({"mode": mode, **more})
    assert answer([row(list=name)], asked, WITHIN).decision == decision


@pytest.mark.parametrize("state", ["suspended", "removed"])
def test_what_rests_or_has_ended_forbids_nothing(state: str) -> None:
    assert answer([row(state=state)], Asked({"mode": "air"}), WITHIN).decision == "allow"


def test_the_last_of_two_entries_still_forbids() -> None:
    rows = [row(state="removed"), row(list="xgl", entry_id="2")]
    assert answer(rows, Asked({"mode": "air"}), WITHIN).entries == {("xgl", "2")}


def test_somebody_of_another_name_is_referred() -> None:
    asked = Asked({"mode": "air"}, "欧阳查无此人")
    assert answer([ROW], asked, WITHIN)[:2] == ("refer", "mismatch")


def test_names_are_compared_within_one_script_only() -> None:
    asked = Asked({"mode": "air"}, "ZHANG/SANFENG")
    assert answer([ROW], asked, WITHIN)[:2] == ("deny", "not_compared")
