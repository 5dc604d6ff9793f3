from __future__ import annotations

import csv
import random
from pathlib import Path

import pytest

from benchmarks.questions.people import Paper, Row, unlisted, unlisted_paper
from benchmarks.users.travellers import Traveller, read, share

COLUMNS = (
    "list", "entry_id", "document_type", "document_number", "document_issuer", "name", "state",
    "from", "until", "case", "court",
)  # fmt: skip


def row(paper: Paper, entry_id: str, **cells: str) -> Row:
    said = {
        "list": "sx",
        "entry_id": entry_id,
        "document_type": paper.type,
        "document_number": paper.number,
        "document_issuer": paper.issuer,
        "name": "张某某",
        "from": "2018-03-01",
    }
    return dict.fromkeys(COLUMNS, "") | said | {name.rstrip("_"): cells[name] for name in cells}


def written(folder: Path, rows: list[Row]) -> Path:
    path = folder / "list.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        out = csv.DictWriter(file, COLUMNS)
        out.writeheader()
        out.writerows(rows)
    return path


def people(count: int) -> list[Paper]:
    chance = random.Random(7)
    return [unlisted(chance) for _ in range(count)]


def test_whoever_is_chosen_is_chosen_with_all_their_rows(tmp_path: Path) -> None:
    papers = people(60)
    rows = [row(paper, str(entry)) for entry in range(3) for paper in papers]
    found = read(written(tmp_path, rows), 20, 1)
    assert found.rows == 180
    assert len(found.listed) == 20
    assert all(len(each.rows) == 3 for each in found.listed)


def test_nobody_of_the_file_is_among_the_others(tmp_path: Path) -> None:
    chance = random.Random(1)
    named = [unlisted_paper(chance) for _ in range(500)][::2]  # as the others begin to be drawn
    permits = [paper for paper in named if paper.type in ("hk_macao_permit", "taiwan_permit")]
    rows = [row(paper, "1") for paper in named if paper not in permits]
    rows += [row(paper._replace(number=paper.number + "01"), "1") for paper in permits]
    others = read(written(tmp_path, rows), 1, 500).unlisted
    assert permits
    assert len(others) <= 250
    assert not {each.paper for each in others} & {*named}


def test_whose_term_ends_today_or_whom_the_oracle_cannot_judge_is_left_out(tmp_path: Path) -> None:
    from benchmarks.questions.oracle import now

    good, ending, strange = people(3)
    rows = [
        row(good, "1"),
        row(ending, "2", until=f"{now():%Y-%m-%d}"),
        row(strange, "3", list_="of-its-own"),
    ]
    assert [each.paper for each in read(written(tmp_path, rows), 9, 1).listed] == [good]


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_no_two_workers_change_the_same_person_nor_one_of_whom_others_are_sure(
    workers: int,
) -> None:
    listed = [Traveller(paper, "张某某", [row(paper, "1")]) for paper in people(300)]
    shares = [share(listed, index, workers) for index in range(workers)]
    mine = [each.paper for one in shares for each in one.mine]
    steady = [each.paper for each in shares[0].steady]
    assert len({*mine, *steady}) == len(mine) + len(steady) == 300
    assert all(one.mine and one.steady == shares[0].steady for one in shares)
    assert share(listed, workers, workers).mine == []  # one who was not expected
    assert shares[0].steady == share(listed, 0, 3).steady  # for whom a killed load has changed


def test_whom_a_put_would_make_another_is_steady() -> None:
    odd = [Traveller(paper, "张某某", [row(paper, "1", state="suspended")]) for paper in people(40)]
    assert share(odd, 0, 1).mine == []


def test_a_change_under_way_excuses_both_answers_and_one_that_is_over_neither() -> None:
    listed = (row(people(1)[0], "1"),)
    somebody = Traveller(people(1)[0], "张某某", listed)
    somebody.change((), 10.0)
    assert somebody.possible(11.0, 12.0) == [listed, ()]
    assert somebody.possible(8.0, 9.0) == [listed]
    somebody.settle("removed", 13.0, 0.0)
    assert somebody.possible(12.9, 20.0) == [listed, ()]
    assert somebody.possible(13.1, 20.0) == [()]


def test_an_addition_may_be_unseen_for_some_seconds_but_not_at_its_own_position() -> None:
    listed = (row(people(1)[0], "1"),)
    somebody = Traveller(people(1)[0], "张某某", listed)
    somebody.change((), 10.0)
    somebody.settle("removed", 11.0, 0.0)
    somebody.change(listed, 20.0)
    somebody.settle("added", 21.0, 3.0)
    assert somebody.possible(22.0, 22.5) == [(), listed]
    assert somebody.possible(22.0, 22.5, "added") == [listed]
    assert somebody.possible(22.0, 22.5, "removed") == [(), listed]
    assert somebody.possible(24.1, 25.0) == [listed]


def test_whom_a_killed_load_may_have_left_unlisted_may_be_either() -> None:
    listed = (row(people(1)[0], "1"),)
    somebody = Traveller(people(1)[0], "张某某", listed)
    somebody.doubt()
    assert somebody.possible(1.0, 2.0) == [(), listed]
    somebody.change((), 3.0)
    somebody.settle("removed", 4.0, 0.0)
    assert somebody.possible(5.0, 6.0) == [()]
