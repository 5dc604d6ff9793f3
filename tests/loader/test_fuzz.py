"""Any file is refused with a reason, or each of its rows is accounted for; nothing else happens."""

from __future__ import annotations

import importlib.util
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loader.columns.cells import SKIPPED
from loader.columns.sheets import COLUMNS
from loader.files.sources import Source, sheet_of
from loader.partitions.portion import Portion
from loader.partitions.unusual import distinct
from loader.rows.packed_rows import Context
from loader.rows.scatter import Piece, Scatter, ScatterResult, reject_rows
from roster.errors import LoadRefused
from roster.keys import PARTITIONS
from roster.records.record import split_record
from roster.times import parse_time
from tests.loader.fuzzing import SECRETS, File, files, list_rows, odd_texts
from tests.loader.held import Reader
from tests.loader.loads import ID_KEY, records
from tests.loader.one_by_one import Packer, Reject, Row, Skip
from tests.loader.rowwise import parse_block

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("pyarrow") is None, reason="Parquet needs pyarrow"
)

NOW_MS = parse_time("2026-11-24")
CODES = {"sx": 1, "xgl": 2, "lift": 200}
CONTEXT = Context(bytes.fromhex(ID_KEY), CODES, parse_time("2020-01-01"), 3, NOW_MS, {})
REASONS = {
    "masked_number", "missing_number", "unknown_type", "missing_issuer", "bad_date",
    "bad_revision", "number_in_text", "too_long", "malformed",
}  # fmt: skip
"""Those of docs/lists.md, Rejects."""
BRIEF = 700
AT_ONCE = 2_000


class Found(NamedTuple):
    """What became of a file's rows."""

    scattered: ScatterResult
    rejects: list[list[str]]
    one_by_one: list[Row | Reject | Skip]


def whole(file: File, folder: Path) -> Found:
    """The file read as a load reads it, and its rows once more, one by one."""
    path = folder / file.name
    path.write_bytes(file.data)
    scatter = Scatter(CONTEXT, folder, 0)
    default = "sx" if file.options.listed else None
    one_by_one = []
    try:
        with Source(str(path), file.options) as source:
            reader = Reader(source.layout.columns, default, NOW_MS)
            for block in source.blocks():
                piece = Piece(0, str(path), source.layout, default, block)
                scatter.read(piece, sheet_of(block, source.layout))
                rows = parse_block(block, source.layout)
                one_by_one += [reader.read(line, list_) for line, list_ in rows]
            source.sha256()
        return Found(scatter.close(), list(reject_rows(folder)), one_by_one)
    finally:
        scatter.abandon()


def entries(folder: Path) -> tuple[int, int]:
    """How many entries the merge would be given, and how many rows are left out as duplicates."""
    count = duplicates = 0
    for partition in range(PARTITIONS):
        portion = Portion(folder, partition, 3, b"")
        duplicates += portion.rows.duplicates
        for bucket in portion.buckets():
            count += sum(len(split_record(record)) for _, _, record in records(bucket.rows))
    return count, duplicates


def check_file(file: File) -> None:
    with TemporaryDirectory(prefix="cw-fuzz-", dir="/tmp") as name:
        folder = Path(name)
        try:
            found = whole(file, folder)
        except LoadRefused as exc:
            said = str(exc)
        else:
            said = check_counts(file, found, folder)
        assert not [text for text in SECRETS if text in said.replace(file.name, "")]


def check_counts(file: File, found: Found, folder: Path) -> str:
    """What was said of the file; every row of it is accounted for."""
    scattered, one_by_one = found.scattered, found.one_by_one
    loaded = scattered.lists.total()
    rejected, skipped = scattered.rejected.total(), scattered.skipped.total()
    rows = scattered.rows.total()
    assert loaded + rejected + skipped + scattered.unknown.total() == rows == len(one_by_one)
    assert file.rows in (None, rows)
    kept, duplicates = entries(folder)
    assert kept + duplicates == loaded
    assert set(scattered.rejected) <= REASONS
    assert set(scattered.skipped) <= SKIPPED
    assert len(found.rejects) == rejected
    for _, line, blamed, reason in found.rejects:
        assert int(line) >= 1
        assert blamed in {"", *COLUMNS}
        assert reason in REASONS
    told = sum(isinstance(read, Reject) for read in one_by_one)
    # Which lists there are only the scatter knows.
    lifting = sum(isinstance(read, Row) and bool(read.lifts) for read in one_by_one)
    assert told <= rejected <= told + lifting
    assert sum(isinstance(read, Skip) for read in one_by_one) == skipped
    return repr((found.rejects, scattered.unknown, scattered.rejected, scattered.skipped))


def check_row(cells: list[str], columns: tuple[str, ...], default: str | None) -> None:
    read = Reader(columns, default, NOW_MS).read(7, cells)
    if isinstance(read, Reject):
        assert read.reason in REASONS
        assert read.field in {"", *COLUMNS}
    elif isinstance(read, Skip):
        assert read.reason in SKIPPED
    else:
        assert read.line == 7
        assert 0 < len(read.entry_id) <= 128
        assert read.revision is None or 0 < read.revision <= NOW_MS + 300_000
        if read.list in CODES:
            token, packed = Packer(CONTEXT).pack(read)
            assert token[2:] == packed[:14]
            assert distinct([packed, packed]) == [packed]


def fuzz(count: int, done: list[int]) -> Callable[[], None]:
    """A test of so many files and rows; `done` grows with each."""

    @settings(
        max_examples=count, deadline=None, suppress_health_check=list(HealthCheck), database=None
    )
    @given(files())
    def run(file: File) -> None:
        done.append(len(file.data))
        check_file(file)

    return run


@given(list_rows(), st.permutations(COLUMNS), odd_texts, st.sampled_from([None, "sx"]))
@settings(max_examples=300, deadline=None)
def test_any_row_is_loaded_rejected_or_skipped(
    rows: list[dict[str, str]], columns: list[str], odd: str, default: str | None
) -> None:
    for row in rows:
        cells = [row.get(name, "") for name in columns]
        for given_ in (cells, [*cells, odd], cells[:-2], [odd, *cells[1:]]):
            check_row(given_, tuple(columns), default)


def test_any_file_is_refused_or_each_of_its_rows_is_accounted_for() -> None:
    fuzz(BRIEF, [])()


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_any_file_is_accounted_for_as_long_as_one_likes(soak_s: float) -> None:
    done: list[int] = []
    until = time.monotonic() + soak_s
    while time.monotonic() < until:
        fuzz(AT_ONCE, done)()
    print(f"\n{len(done):,} files, {sum(done) / 2**20:,.0f} MiB")  # noqa: T201 -- the figures of a soak
