"""What stops a bad file: the reason is said with numbers, and nothing is changed."""

from __future__ import annotations

import gzip
import random
import zlib
from typing import TYPE_CHECKING, Any

import pytest

from loader.guard import Limits, parse_limit
from loader.intake import Files
from roster.errors import LoadRefused
from roster.times import parse_time
from tests.loader.loads import HEADER, Roster, number, row, write

if TYPE_CHECKING:
    from collections.abc import Iterator

AS_OF = parse_time("2020-01-02")


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
        ([], {}, "the file has no rows: name the lists"),
        ([], {"lists": ("sx",)}, r"no row of sx can be loaded \(0 rows in all"),
        ([row(1)], {"lists": ("sx", "xgl")}, "no row of xgl can be loaded"),
        ([row(1)], {"day": 0}, "the file speaks"),
        ([row(1)], {"lists": ("nolist",)}, "not in lists.toml: nolist"),
        ([row(1)], {"lists": ("bind",)}, "only changed over HTTP: bind"),
        ([row(1, list="nolist")], {}, r"not in lists.toml: nolist \(1 rows\)"),
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
        files = Files((write(loaded.folder / "x.csv", rows),), as_of=parse_time("2019-12-31"))
        with pytest.raises(LoadRefused, match="is older than the last load begun: sx 2019-12-31"):
            loaded.load_files(files)
        return
    with pytest.raises(LoadRefused, match=reason):
        loaded.load(rows, **({"day": 2} | options))


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
                loaded.load_files(Files((str(path),), as_of=AS_OF))


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


def test_the_first_load_of_a_list_has_no_limit_on_additions(roster: Roster) -> None:
    roster.load([row(1)])
    assert roster.load([row(n, n, list="xgl") for n in range(200)], day=2).added == 200


@pytest.mark.parametrize(
    ("text", "total", "most"),
    [("1%", 7_850_000, 78_500), ("1%", 50, 100), ("0.5%", 100_000, 500), ("7", 50, 7), ("0", 9, 0)],
)
def test_a_limit_is_a_number_or_a_percentage_of_at_least_a_hundred(
    text: str, total: int, most: int
) -> None:
    assert parse_limit(text).of(total) == most


@pytest.mark.parametrize("text", ["", "-1", "1 %", "a", "1e3", "%"])
def test_what_is_no_limit_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a percentage such as 1%"):
        parse_limit(text)


def test_no_message_holds_a_number(loaded: Roster) -> None:
    with pytest.raises(LoadRefused) as refused:
        loaded.load([row(1, list=number(1))], day=2)
    assert number(1) not in str(refused.value)
