"""The same file again ends at once; anything else is loaded."""

from __future__ import annotations

import gzip
import hashlib
import json
from typing import TYPE_CHECKING

import pytest

from loader.jobs.intake import Files
from loader.jobs.report import summary_text
from roster.errors import LoadRefused
from roster.storage.dictionary import Load
from roster.times import parse_time
from tests.loader.loads import DAY, Roster, row, write

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from loader.jobs.report import LoadSummary
    from tests.servers import Server

AS_OF = parse_time(DAY.format(1))


def file(roster: Roster, *rows: str, name: str = "list.csv") -> Files:
    return Files((write(roster.folder / name, rows),), ("sx",), AS_OF)


def numbers(roster: Roster) -> list[int]:
    with roster.opened() as session:
        return list(session.run(session.dictionary.all_loads()))


def test_the_same_file_again_is_not_loaded_and_that_is_said(roster: Roster) -> None:
    files = file(roster, row(1), row(2, 2))
    assert roster.load_files(files).added == 2
    again = roster.load_files(files)
    assert again.same_as == 1
    assert (again.rows, again.added, again.unchanged) == (0, 0, 0)
    assert "nothing to do: load 1 brought the same" in summary_text(again)
    assert "--again" in summary_text(again)
    assert numbers(roster) == [1]


def test_the_same_file_is_loaded_again_where_that_is_asked_for(roster: Roster) -> None:
    files = file(roster, row(1), row(2, 2))
    roster.load_files(files)
    again = roster.load_files(files, again=True)
    assert (again.same_as, again.unchanged) == (None, 2)


def test_a_copy_of_the_file_is_the_same_file(roster: Roster) -> None:
    roster.load_files(file(roster, row(1)))
    assert roster.load_files(file(roster, row(1), name="copy.csv")).same_as == 1


def test_the_same_partial_file_as_of_the_same_time_is_the_same(roster: Roster) -> None:
    files = file(roster, row(1))
    roster.load_files(files, partial=True)
    assert roster.load_files(files, partial=True).same_as == 1
    assert roster.load_files(files).same_as is None
    without = Files(files.paths, files.lists)
    roster.load_files(without, partial=True)
    assert roster.load_files(without, partial=True).same_as is None


def changed(roster: Roster) -> LoadSummary:
    return roster.load_files(file(roster, row(1), row(2, 2), row(3, 3)))


def later(roster: Roster) -> LoadSummary:
    files = file(roster, row(1), row(2, 2))
    return roster.load_files(Files(files.paths, files.lists, parse_time(DAY.format(2))))


def packed(roster: Roster) -> LoadSummary:
    path = roster.folder / "list.csv.gz"
    path.write_bytes(gzip.compress((roster.folder / "list.csv").read_bytes()))
    return roster.load_files(Files((str(path),), ("sx",), AS_OF))


def otherwise_read(roster: Roster) -> LoadSummary:
    files = file(roster, row(1), row(2, 2))
    return roster.load_files(Files(files.paths, files.lists, AS_OF, "csv"))


@pytest.mark.parametrize("load", [changed, later, packed, otherwise_read])
def test_what_is_not_the_same_is_loaded(
    load: Callable[[Roster], LoadSummary], roster: Roster
) -> None:
    roster.load_files(file(roster, row(1), row(2, 2)))
    assert load(roster).same_as is None


def test_a_load_of_the_lists_in_between_makes_it_another(roster: Roster) -> None:
    first = file(roster, row(1), name="a.csv")
    roster.load_files(first, partial=True)
    roster.load_files(file(roster, row(2, 2), name="b.csv"), partial=True)
    assert roster.load_files(first, partial=True).same_as is None


def test_a_load_of_other_lists_in_between_does_not(roster: Roster) -> None:
    first = file(roster, row(1), name="a.csv")
    roster.load_files(first)
    other = write(roster.folder / "b.csv", [row(2, 2, list="xgl")])
    roster.load_files(Files((other,), ("xgl",), AS_OF))
    assert roster.load_files(first).same_as == 1


def test_a_load_that_was_killed_or_undone_or_of_an_older_version_is_not_it(
    roster: Roster,
) -> None:
    files = file(roster, row(1))
    roster.load_files(files, partial=True)
    for load in (
        Load(actor="x", received_at_ms=1, kind="load", lists=("sx",), as_of=AS_OF),
        Load(actor="x", received_at_ms=1, applied_at_ms=2, kind="undo", lists=("sx",)),
        Load(actor="x", received_at_ms=1, applied_at_ms=2),
    ):
        with roster.opened() as session:
            session.open_load(session.run(session.dictionary.next_load()), load)
        assert roster.load_files(files, partial=True).same_as is None


def test_a_roster_that_was_emptied_gets_the_file_again(roster: Roster, valkey: Server) -> None:
    files = file(roster, row(1))
    roster.load_files(files)
    with valkey.client() as link:
        for name in link.keys("clearway:{*}:meta"):
            link.hdel(name, "covered")
    assert roster.load_files(files).same_as is None
    assert roster.load_files(files).same_as == 2
    with valkey.client() as link:
        link.delete(*link.keys("clearway:{*"))
    assert roster.load_files(files).added == 1


def test_a_manifest_that_states_other_bytes_is_still_refused(roster: Roster) -> None:
    files = file(roster, row(1))
    roster.load_files(files)
    manifest = roster.folder / "list.csv.manifest.json"
    manifest.write_text(json.dumps({"sha256": "0" * 64}))
    with pytest.raises(LoadRefused, match="SHA-256"):
        roster.load_files(files)
    sha256 = hashlib.sha256((roster.folder / "list.csv").read_bytes()).hexdigest()
    manifest.write_text(json.dumps({"sha256": sha256.upper()}))
    assert roster.load_files(files).same_as == 1


def test_a_dry_run_says_what_would_change_all_the_same(roster: Roster, tmp_path: Path) -> None:
    files = file(roster, row(1))
    roster.load_files(files)
    assert roster.load_files(files, dry_run=True).unchanged == 1
