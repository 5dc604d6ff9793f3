"""What is said of rows that cannot be used, and where that is written."""

from __future__ import annotations

import csv
import stat
from typing import TYPE_CHECKING

import pytest

from loader.jobs.intake import Files
from loader.jobs.report import KEPT
from roster.errors import LoadRefused
from roster.times import parse_time
from tests.loader.loads import DAY, HEADER, Roster, number, row, write

if TYPE_CHECKING:
    from pathlib import Path

AS_OF = parse_time(DAY.format(1))


def refused(roster: Roster, *rows: str, **options: object) -> str:
    path = write(roster.folder / "list.csv", rows)
    with pytest.raises(LoadRefused) as refusal:
        roster.load_files(Files((path,), ("sx",), AS_OF), **options)
    return str(refusal.value)


def kept(roster: Roster) -> list[Path]:
    return sorted((roster.settings.data_dir / "rejects").glob("*"))


def test_a_file_whose_rows_are_all_rejected_is_told_the_column_and_the_line(
    roster: Roster,
) -> None:
    said = refused(roster, *(row(n, n, document_number="11010118******0011") for n in (1, 2, 3)))
    assert (
        "3 of 3 rows rejected: 3 masked numbers in column document_number (first in line 2)" in said
    )
    assert "no rows" not in said
    said = refused(roster, *(row(n, n, document_number="1.10105E+17") for n in (1, 2)))
    assert "2 of 2 rows rejected: 2 bad numbers in column document_number (first in line 2)" in said
    (path, *_) = kept(roster)
    assert str(path) in said or str(kept(roster)[-1]) in said


def test_each_reason_is_told_with_its_column_and_the_place_of_its_first_row(
    roster: Roster,
) -> None:
    said = refused(
        roster,
        row(1, revision="yesterday"),
        row(2, 2, **{"from": "soon"}),
        row(3, 3, **{"from": "later"}),
        row(4, 4, court=number(5)),
        row(5, 5, document_type="card"),
        "sx,a",
    )
    assert "6 of 6 rows rejected: 2 bad dates in column from (first in line 3), " in said
    assert "1 bad revision in column revision (first in line 2)" in said
    assert "1 ID number in column court (first in line 5)" in said
    assert "1 unknown type in column document_type (first in line 6)" in said
    assert "1 row that cannot be read (first in line 7)" in said
    assert number(5) not in said


def test_of_several_files_the_place_names_the_file(roster: Roster) -> None:
    paths = [
        write(roster.folder / f"{n}.csv", [row(n, n, document_number="*" * 18)]) for n in (1, 2)
    ]
    with pytest.raises(LoadRefused, match=r"\(first in 1\.csv line 2\)"):
        roster.load_files(Files(tuple(paths), ("sx",), AS_OF))


def test_rows_in_gb18030_are_told_the_encoding(roster: Roster) -> None:
    path = roster.folder / "list.csv"
    lines = [HEADER, *(row(n, n) for n in range(1, 91))]
    path.write_bytes("\n".join(lines).encode("gb18030"))
    with pytest.raises(LoadRefused) as refusal:
        roster.load_files(Files((str(path),), ("sx",), AS_OF))
    assert "90 of 90 rows rejected: 90 rows that cannot be read (first in line 2)" in str(
        refusal.value
    )
    assert "--encoding gb18030" in str(refusal.value)
    assert roster.load_files(Files((str(path),), ("sx",), AS_OF, encoding="gb18030")).added == 90


def test_rejects_lie_in_the_data_folder_for_us_alone_and_are_named(roster: Roster) -> None:
    summary = roster.load([row(1), row(2, 2), row(3, 3), row(4, 4, revision="x")], lists=("sx",))
    (path,) = kept(roster)
    assert summary.rejects_file == str(path)
    assert summary.notes == [
        "1 of 4 rows rejected: 1 bad revision in column revision (first in line 5)"
    ]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    with path.open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file)) == [
            ["file", "line", "field", "reason"],
            [str(roster.folder / "list.csv"), "5", "revision", "bad_revision"],
        ]


def test_without_rejects_there_is_no_file(roster: Roster) -> None:
    summary = roster.load([row(1)], lists=("sx",))
    assert summary.rejects_file is None
    assert summary.notes == []
    assert kept(roster) == []


def test_a_file_of_rejects_that_was_asked_for_lies_where_it_should(roster: Roster) -> None:
    asked = roster.folder / "asked.csv"
    summary = roster.load([row(1), row(2, 2), row(3, 3, revision="x")], rejects=asked)
    assert summary.rejects_file == str(asked)
    assert kept(roster) == []


def test_of_many_files_of_rejects_the_last_ones_are_kept(roster: Roster) -> None:
    folder = roster.settings.data_dir / "rejects"
    folder.mkdir(parents=True)
    for n in range(KEPT + 5):
        (folder / f"2020-01-01T{n:06}Z-1.csv").touch()
    roster.load([row(1), row(2, 2), row(3, 3, revision="x")], lists=("sx",))
    names = [path.name for path in kept(roster)]
    assert len(names) == KEPT
    assert names[0] == "2020-01-01T000006Z-1.csv"
    assert not names[-1].startswith("2020")
