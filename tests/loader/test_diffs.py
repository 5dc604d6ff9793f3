"""What a load would do, entry by entry, and to whom: who is free then, and who newly denied."""

from __future__ import annotations

import csv
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clearway import main
from loader.jobs.guard import Limits, parse_limit
from loader.jobs.intake import Files
from roster.errors import LoadRefused
from roster.records.entry import Op
from roster.times import parse_time
from tests.loader.loads import DAY, HEADER, Roster, number, row, settings_for, write
from tests.loader.test_load import apply

if TYPE_CHECKING:
    from pathlib import Path

    from loader.jobs.report import LoadSummary
    from tests.servers import Server

NEWER = 1_600_000_000_000


def diff(roster: Roster, rows: list[str], day: int = 2, **options: Any) -> list[tuple[str, ...]]:  # noqa: ANN401 -- as Options has them
    """The diff of a dry run, which a real load writes, too: list, entry, change, person."""
    path = roster.folder / "diff.csv"
    told = []
    for dry_run in (True, False):
        summary = roster.load(rows, day, dry_run=dry_run, diff=path, **options)
        text = path.read_text(encoding="utf-8")
        assert not any(number(n) in text or number(n)[:17] in text for n in range(50))
        assert "张某某" not in text
        told.append(checked(summary, text))
    assert told[0] == told[1]
    return told[0]


def checked(summary: LoadSummary, text: str) -> list[tuple[str, ...]]:
    header, *rows = csv.reader(text.splitlines())
    assert header == ["list", "entry_id", "case", "court", "change", "person"]
    counts = Counter((list_, change) for list_, _, _, _, change, _ in rows)
    for name, fates in summary.lists.items():
        assert [counts[name, what] for what in ("added", "changed", "ended")] == [
            fates[what] for what in ("added", "changed", "ended")
        ]
    return sorted((list_, entry[-4:], change, who) for list_, entry, _, _, change, who in rows)


def test_a_first_load_adds_everybody_and_names_case_and_court(roster: Roster) -> None:
    assert diff(roster, [row(1), row(2, 2)], 1) == [
        ("sx", "1号/1", "added", "newly denied"),
        ("sx", "2号/1", "added", "newly denied"),
    ]
    text = (roster.folder / "diff.csv").read_text(encoding="utf-8")
    assert "(2018)京0105执1号/1,(2018)京0105执1号,北京市朝阳区人民法院,added" in text


def test_what_changes_and_ends_is_told_and_who_is_free(roster: Roster) -> None:
    roster.load([row(1), row(2, 2), row(3, 3), row(4, 4)])
    later = [row(1), row(2, 2, NEWER, court="另一法院"), row(4, 4, NEWER, state="removed")]
    found = diff(roster, [*later, row(5, 5)])
    assert found == [
        ("sx", "2号/1", "changed", ""),
        ("sx", "3号/1", "ended", "free"),
        ("sx", "4号/1", "ended", "free"),
        ("sx", "5号/1", "added", "newly denied"),
    ]


def test_a_person_with_another_entry_is_neither_free_nor_newly_denied(roster: Roster) -> None:
    roster.load([row(1), row(1, 2), row(2, 3), row(3, 4)])
    roster.load([row(2, 6, list="xgl")], lists=("xgl",))
    assert diff(roster, [row(1), row(3, 5)]) == [
        ("sx", "2号/1", "ended", ""),  # the same list has another of theirs
        ("sx", "3号/1", "ended", ""),  # another list has
        ("sx", "4号/1", "ended", ""),  # this file adds another
        ("sx", "5号/1", "added", ""),
    ]


def test_who_loses_all_of_several_entries_is_free(roster: Roster) -> None:
    roster.load([row(1), row(1, 2), row(2, 3)])
    assert diff(roster, [row(2, 3)]) == [
        ("sx", "1号/1", "ended", "free"),
        ("sx", "2号/1", "ended", "free"),
    ]


def test_an_entry_that_does_not_bind_denies_nobody(roster: Roster) -> None:
    over, ahead = {"until": "2019-01-01"}, {"from": "2900-01-01"}
    roster.load([row(1), row(1, 2, **over), row(2, 3, **over), row(3, 4), row(3, 5, **ahead)])
    assert diff(roster, [row(1, 2, **over), row(3, 5, **ahead), row(4, 6, **over)]) == [
        ("sx", "1号/1", "ended", "free"),
        ("sx", "3号/1", "ended", ""),
        ("sx", "4号/1", "ended", "free"),
        ("sx", "6号/1", "added", ""),
    ]


def test_who_is_suspended_is_free_and_who_is_resumed_is_denied(roster: Roster) -> None:
    roster.load([row(1), row(2, 2, state="suspended")])
    rows = [row(1, 1, NEWER, state="suspended"), row(2, 2, NEWER, state="active")]
    assert diff(roster, rows) == [
        ("sx", "1号/1", "changed", "free"),
        ("sx", "2号/1", "changed", "newly denied"),
    ]


def test_a_partial_file_ends_only_what_it_says(roster: Roster) -> None:
    roster.load([row(1), row(2, 2)])
    rows = [row(1, 1, NEWER, state="removed"), row(3, 3, NEWER)]
    assert diff(roster, rows, partial=True, again=True) == [
        ("sx", "1号/1", "ended", "free"),
        ("sx", "3号/1", "added", "newly denied"),
    ]


def test_who_was_removed_by_hand_is_not_denied_by_an_old_row(roster: Roster) -> None:
    roster.load([row(1), row(2, 2)])
    apply(roster, 1, Op.REMOVE, NEWER)
    assert diff(roster, [row(1), row(2, 2)]) == []


def test_an_entry_whose_row_was_rejected_does_not_end(roster: Roster) -> None:
    roster.load([row(1), row(2, 2), row(3, 3), row(4, 4)])
    assert diff(roster, [row(1), row(2, 2), row(3, 3, revision="x")]) == [
        ("sx", "4号/1", "ended", "free")
    ]


def test_a_lift_frees_from_the_lists_that_it_lifts(roster: Roster) -> None:
    roster.load([row(1), row(2, 2)])
    roster.load([row(3, 3, list="ndrc-air")], lists=("ndrc-air",))
    lifts = [row(n, 10 + n, list="lift", until="2900-01-01") for n in (1, 3)]
    assert diff(roster, lifts, lists=("lift",)) == [
        ("lift", "11号/1"[-4:], "added", "free"),
        ("lift", "13号/1"[-4:], "added", ""),
    ]


def test_the_same_file_again_changes_nothing(roster: Roster) -> None:
    path = roster.folder / "diff.csv"
    roster.load([row(1)])
    assert roster.load([row(1)], diff=path).same_as == 1
    assert path.read_text() == "list,entry_id,case,court,change,person\n"


def test_a_refused_file_is_told_what_it_would_do(roster: Roster) -> None:
    roster.load([row(1), row(2, 2)])
    path = roster.folder / "diff.csv"
    limits = Limits(removals=parse_limit("0"))
    with pytest.raises(LoadRefused, match="would end"):
        roster.load([row(1)], 2, limits=limits, diff=path, dry_run=True)
    assert "2号/1" in path.read_text(encoding="utf-8")


def test_many_workers_write_one_diff(roster: Roster) -> None:
    path = roster.folder / "list.csv"
    people = 300
    path.write_text("\n".join([HEADER, *(row(n, n) for n in range(1, people + 1))]), "utf-8")
    told = roster.folder / "diff.csv"
    files = Files((str(path),), ("sx",), parse_time(DAY.format(1)))
    roster.load_files(files, dry_run=True, diff=told, jobs=2)
    lines = told.read_text(encoding="utf-8").splitlines()
    assert len(lines) == people + 1
    assert len(set(lines)) == people + 1


@st.composite
def rows_of(draw: st.DrawFn) -> list[str]:
    """Rows of few people on two lists; an entry's id says its list."""
    states = st.sampled_from(["", "", "suspended", "removed", "active"])
    return [
        row(
            draw(st.integers(1, 3)),
            serial,
            draw(st.sampled_from([1_500_000_000_000, NEWER])),
            list=name,
            entry_id=f"{name}-{serial}",
            state=draw(states),
            until=draw(st.sampled_from(["", "", "2019-01-01"])),
        )
        for name in ("sx", "xgl")
        for serial in range(1, draw(st.integers(1, 3)) + 1)
    ]


@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rows_of(), rows_of())
def test_who_is_free_or_denied_is_what_a_check_says_before_and_after(
    valkey: Server, tmp_path: Path, before: list[str], after: list[str]
) -> None:
    """The roster itself, read entry by entry, is the model."""
    with valkey.client() as link:
        link.flushdb()
    roster = Roster(settings_for(valkey, tmp_path), tmp_path)
    wanted: dict[str, Any] = {"lists": ("sx", "xgl"), "allow_empty": True}
    roster.load(before, 1, **wanted)
    was = denied(roster)
    path = tmp_path / "diff.csv"
    roster.load(after, 2, diff=path, **wanted)
    now = denied(roster)
    with path.open(encoding="utf-8", newline="") as file:
        told = Counter(line["person"] for line in csv.DictReader(file) if line["person"])
    assert bool(told["free"]) == bool(was - now)
    assert bool(told["newly denied"]) == bool(now - was)


def denied(roster: Roster) -> set[bytes]:
    """Who has an active entry in force."""
    now_ms = parse_time(DAY.format(3))
    return {
        token
        for (token, _), entry in roster.entries().items()
        if entry.state.name == "ACTIVE"
        and (entry.content.until_ms is None or entry.content.until_ms > now_ms)
    }


def test_a_diff_is_never_one_of_the_inputs(tmp_path: Path) -> None:
    path = write(tmp_path / "list.csv", [row(1)])
    (tmp_path / "link.csv").symlink_to(path)
    for output in (path, str(tmp_path / "link.csv")):
        done = CliRunner().invoke(
            main, ["load", path, "--list", "sx", "--as-of", "2020-01-01", "--diff", output]
        )
        assert done.exit_code == 2
        assert "nothing was done" in done.output
    assert (tmp_path / "list.csv").read_text(encoding="utf-8").count("\n") == 2
