"""What stops a bad file: the reason is said with numbers, and nothing is changed."""

from __future__ import annotations

import gzip
import json
import random
import zlib
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from loader.jobs.guard import Limits, parse_limit
from loader.jobs.intake import Files
from roster.errors import LoadRefused, WrongUsage
from roster.times import parse_time
from tests.loader.loads import HEADER, Roster, number, row, write

if TYPE_CHECKING:
    from collections.abc import Iterator

AS_OF = parse_time("2020-01-02")


@pytest.fixture
def roster(roster: Roster) -> Roster:
    """With the limits that are usual."""
    return roster._replace(limits=Limits())


@pytest.fixture
def loaded(roster: Roster) -> Iterator[Roster]:
    """A roster of 300 entries, which is the same afterwards."""
    roster.load([row(n, n + 1) for n in range(300)])
    before = roster.metas()
    yield roster
    assert roster.metas() == before


@pytest.mark.parametrize(
    ("rows", "options", "reason"),
    [
        ([], {"lists": ("sx",)}, r"no row of sx can be loaded \(0 rows in all"),
        ([row(1)], {"lists": ("sx", "xgl")}, "no row of xgl can be loaded"),
        ([row(1)], {"day": 0}, "the file speaks"),
        ([row(1)], {"lists": ("nolist",)}, "not in lists.toml: nolist"),
        ([row(1)], {"lists": ("bind",)}, "only changed over HTTP: bind"),
        ([row(1, list="nolist")], {"lists": ("sx",)}, r"not in lists.toml: nolist \(1 rows\)"),
        ([row(1)], {"lists": ("xgl",)}, r"this load is not for: sx \(1 rows\)"),
        ([row(n, n + 1) for n in range(199)], {}, "101 of 300 entries would end, more than"),
        ([row(n, n + 1) for n in range(401)], {}, "101 entries would be added to 300, more than"),
        (
            [*(row(n, n + 1) for n in range(300)), *(row(n, until="?") for n in range(101))],
            {},
            "101 of 401 rows are rejected, more than --max-rejects 1%",
        ),
    ],
)
def test_a_bad_file_changes_nothing(
    loaded: Roster, rows: list[str], options: dict[str, Any], reason: str
) -> None:
    if options.get("day") == 0:
        files = Files(
            (write(loaded.folder / "x.csv", rows),), ("sx",), as_of=parse_time("2019-12-31")
        )
        with pytest.raises(LoadRefused, match="is older than the last load begun: sx 2019-12-31"):
            loaded.load_files(files)
        return
    with pytest.raises(LoadRefused, match=reason):
        loaded.load(rows, **({"day": 2} | options))


def test_a_full_snapshot_is_of_lists_that_somebody_names(loaded: Roster) -> None:
    path = write(loaded.folder / "x.csv", [row(1), row(2, list="xgl"), row(3, until="?")])
    with pytest.raises(WrongUsage, match=r"which lists a full snapshot is of: .* rows of sx, xgl"):
        loaded.load_files(Files((path,), as_of=AS_OF))
    with pytest.raises(WrongUsage, match="this file has no rows"):
        loaded.load([], day=2)


def test_a_row_of_another_list_refuses_the_file_whatever_is_wrong_with_it(loaded: Roster) -> None:
    for other in (
        row(9, list="ndrc-air"),
        row(9, list="ndrc-air", document_number="none"),
        row(9, list="ndrc-air", document_type="organisation"),
    ):
        rows = [*(row(n, n + 1) for n in range(300)), other]
        with pytest.raises(LoadRefused, match=r"not for: ndrc-air \(1 rows\)"):
            loaded.load(rows, day=2, lists=("sx",))


def test_limits_are_of_each_list_by_itself(roster: Roster) -> None:
    """A small list is not lost in the shadow of a great one."""
    great = [row(n, n + 1) for n in range(2_000)]
    small = [row(n, 9_000 + n, list="xgl") for n in range(90)]
    roster.load([*great, *small])
    before = roster.metas()
    bad = [row(n, 9_000 + n, list="xgl", document_number="none") for n in range(46)]
    doubtful = [row(n, 9_000 + n, list="xgl", document_number=wrong(n)) for n in range(46)]
    more = [row(n, 9_000 + n, list="xgl") for n in range(90, 136)]
    for rows, reason in (
        ([*small[46:], *bad], "xgl: 46 of 90 rows are rejected, more than --max-rejects 1% .45"),
        ([*small[46:], *doubtful], "xgl: 46 of 90 rows are warned of, more than --max-warnings"),
        (small[46:], "xgl: 46 of 90 entries would end, more than --max-removals"),
        ([*small, *more], "xgl: 46 entries would be added to 90, more than --max-additions"),
    ):
        with pytest.raises(LoadRefused, match=reason):
            roster.load([*great, *rows], day=2)
    assert roster.metas() == before
    assert roster.load([*great, *small[45:]], day=2).ended == 45


def wrong(n: int) -> str:
    """A number with a wrong check digit."""
    right = number(n)
    return right[:17] + ("0" if right[17] != "0" else "1")


def test_a_number_that_very_many_entries_have_is_refused(roster: Roster) -> None:
    for type_ in ("resident_id", "hk_macao_permit"):
        one = {"resident_id": number(5), "hk_macao_permit": "H12345678"}[type_]
        rows = [row(n, n + 1, document_type=type_, document_number=one) for n in range(1_001)]
        with pytest.raises(LoadRefused, match="one number stands in 1001 entries, more than 1000"):
            roster.load(rows)
        with pytest.raises(LoadRefused, match="one number stands in 1001 entries"):
            roster.load(rows, partial=True)
        assert roster.entries() == {}
    assert roster.load([*rows[:1_000], *rows[:9]]).added == 1_000


def test_numbers_that_a_spreadsheet_rounded_are_refused(roster: Roster) -> None:
    """They end alike; where few of them do, each has a wrong check digit at least."""
    rounded = [f"{number(n)[:15]}000" for n in range(2_000)]
    rows = [row(n, n + 1, document_number=one) for n, one in enumerate(rounded)]
    limits = Limits(warnings=parse_limit("100%"))
    with pytest.raises(LoadRefused, match="rows are warned of, more than --max-warnings 1%"):
        roster.load(rows)
    with pytest.raises(LoadRefused, match="80 of 80 ID numbers have the same last three digits"):
        roster.load(rows, limits=limits)
    good = [row(n, n + 1) for n in range(2_000, 3_000)]
    with pytest.raises(LoadRefused, match=r"of 10\d\d ID numbers have the same last three"):
        roster.load([*rows[:30], *good], limits=limits)
    assert roster.entries() == {}
    assert roster.load(rows[:900], limits=limits).added == 900


def test_a_person_with_many_entries_is_one_number_that_ends_so(roster: Roster) -> None:
    rows = [row(n, n + 1) for n in range(1_000)] + [row(7, 5_000 + n) for n in range(100)]
    assert roster.load(rows).added == 1_100


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_a_file_in_another_encoding_is_told_so(loaded: Roster, form: str) -> None:
    lines = [HEADER, *(row(n, n + 1) for n in range(300))]
    text = "\n".join(lines)
    if form == "jsonl":
        names = HEADER.split(",")
        text = "\n".join(
            json.dumps(dict(zip(names, line.split(","), strict=True)), ensure_ascii=False)
            for line in lines[1:]
        )
    path = loaded.folder / f"gb.{form}"
    path.write_bytes(text.encode("gb18030") + b"\n")
    for partial in (False, True):
        with pytest.raises(LoadRefused, match=r"300 of 300 rows are rejected.*--encoding gb18030"):
            loaded.load_files(
                Files((str(path),), ("sx",), None if partial else AS_OF), partial=partial
            )
    path.write_bytes(text.encode() + b"\n")
    with pytest.raises(LoadRefused, match="UTF-8, not GB18030"):
        loaded.load_files(Files((str(path),), ("sx",), AS_OF, encoding="gb18030"))


def test_a_file_without_an_as_of_or_from_the_future_is_refused(loaded: Roster) -> None:
    path = write(loaded.folder / "x.csv", [row(1)])
    with pytest.raises(LoadRefused, match="needs --as-of"):
        loaded.load_files(Files((path,)))
    with pytest.raises(LoadRefused, match="lies in the future"):
        loaded.load_files(Files((path,), as_of=parse_time("2100-01-01")))


def test_a_dry_run_is_refused_alike(loaded: Roster) -> None:
    with pytest.raises(LoadRefused, match="299 of 300 entries would end"):
        loaded.load([row(0, 1)], day=2, dry_run=True)


def test_a_file_that_is_not_there_is_refused(loaded: Roster) -> None:
    with pytest.raises(LoadRefused, match="no such file"):
        loaded.load_files(Files((str(loaded.folder / "no.csv"),), as_of=AS_OF))


def damaged(data: bytes, seed: int) -> bytes:
    """Cut, or with some bits turned; always something else than the data."""
    rng = random.Random(seed)
    if seed % 2:
        return data[: rng.randrange(len(data))]
    out = bytearray(data)
    for _ in range(rng.choice((1, 3, 50))):
        out[rng.randrange(len(out))] ^= 1 << rng.randrange(8)
    return bytes(out)


def is_whole(data: bytes, text: bytes) -> bool:
    """Whether the damage did not reach the text: it was in the time or name of the gzip."""
    try:
        return gzip.decompress(data) == text
    except (OSError, EOFError, zlib.error):
        return False


def test_a_damaged_gzip_is_refused(loaded: Roster) -> None:
    text = "\n".join([HEADER, *(row(n, n + 1) for n in range(300))]).encode() + b"\n"
    path = loaded.folder / "list.csv.gz"
    for seed in range(60):
        data = damaged(gzip.compress(text, mtime=0), seed)
        path.write_bytes(data)
        if not is_whole(data, text):
            with pytest.raises(LoadRefused):
                loaded.load_files(Files((str(path),), ("sx",), as_of=AS_OF))


def test_limits_may_be_raised(roster: Roster) -> None:
    roster.load([row(n, n + 1) for n in range(300)])
    limits = Limits(removals=parse_limit("300"))
    assert roster.load([row(0, 1)], day=2, limits=limits).ended == 299
    limits = Limits(additions=parse_limit("100%"), removals=parse_limit("0"))
    with pytest.raises(LoadRefused, match="--max-removals 0"):
        roster.load([row(1, 2)], day=3, limits=limits)


def test_an_empty_list_may_be_loaded_when_told_so(roster: Roster) -> None:
    roster.load([row(n, n + 1) for n in range(50)])
    assert roster.load([], day=2, lists=("sx",), allow_empty=True).ended == 50
    assert set(roster.states().values()) == {"ABSENT"}


def test_an_empty_list_of_more_than_a_hundred_has_to_be_meant(loaded: Roster) -> None:
    with pytest.raises(LoadRefused, match="300 of 300 entries would end"):
        loaded.load([], day=2, lists=("sx",), allow_empty=True)


def test_the_first_load_of_a_list_has_no_limit_on_additions(roster: Roster) -> None:
    roster.load([row(1)])
    assert roster.load([row(n, n, list="xgl") for n in range(200)], day=2).added == 200


@pytest.mark.parametrize(
    ("text", "total", "most"),
    [
        ("1%", 7_850_000, 78_500), ("0.5%", 100_000, 500), ("1%", 500, 100), ("1%", 200, 100),
        ("1%", 50, 25), ("1%", 3, 1), ("1%", 1, 0), ("60%", 50, 30), ("100%", 50, 50), ("7", 50, 7),
        ("7", 3, 7), ("0", 9, 0), ("0%", 1_000, 0), ("0.0%", 1_000, 0),
    ],
)  # fmt: skip
def test_a_limit_is_a_number_or_a_percentage_of_at_least_a_hundred_and_at_most_half(
    text: str, total: int, most: int
) -> None:
    assert parse_limit(text).of(total) == most


@pytest.mark.parametrize("text", ["", "-1", "1 %", "a", "1e3", "%"])
def test_what_is_no_limit_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a percentage such as 1%"):
        parse_limit(text)


def test_no_message_holds_a_number(loaded: Roster) -> None:
    with pytest.raises(LoadRefused) as refused:
        loaded.load([row(1, list=number(1))], day=2, lists=("sx",))
    assert number(1) not in str(refused.value)


def test_who_is_refused_by_a_limit_is_told_why_it_is_that_and_what_to_do_next(
    roster: Roster,
) -> None:
    roster.load([row(n, n) for n in range(12)])
    with pytest.raises(LoadRefused) as caught:
        roster.load([row(n, n) for n in range(3)], day=2)
    assert str(caught.value) == (
        "sx: 9 of 12 entries would end, more than --max-removals 1% (6); a percentage is at least "
        "100, but never more than half of the list; nothing was changed: see with --dry-run --diff "
        "OUT which entries they are; if that is right, load it with --max-removals 9"
    )
    few = replace(Limits(), additions=parse_limit("1"))
    with pytest.raises(LoadRefused, match=r"1 \(1\); nothing was .* with --max-additions 2$"):
        roster.load([row(n, n) for n in range(14)], day=2, limits=few)
    roster.load([row(n, n) for n in range(3)], day=2, limits=Limits(removals=parse_limit("9")))


def test_a_csv_whose_last_line_has_no_end_is_told_of_where_entries_end_by_it(
    roster: Roster,
) -> None:
    rows = [row(n, n) for n in range(9)]

    def load(day: int, count: int, *, whole: bool) -> list[str]:
        path = roster.folder / "list.csv"
        write(path, rows[:count])
        if not whole:
            path.write_bytes(path.read_bytes()[:-1])
        at = parse_time(f"2020-01-0{day}")
        return roster.load_files(Files((str(path),), ("sx",), at)).notes

    assert load(1, 9, whole=False) == []
    assert load(2, 9, whole=False) == []
    assert load(3, 8, whole=True) == []
    (note,) = load(4, 7, whole=False)
    assert note.endswith("/list.csv has no end: was the file cut?")
    assert roster.count(b"n:1:1") == 7
