"""What docs/lists.md tells those who make lists is so: its samples load, its cells are rejected."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest

from loader.columns.cells import document
from loader.columns.sheets import COLUMNS
from loader.jobs.guard import Limits
from loader.jobs.intake import Files
from roster.times import parse_time
from tests.loader.held import Reader
from tests.loader.loads import Roster, settings_for
from tests.loader.one_by_one import Reject
from tests.servers import Server

PAGE = (Path(__file__).parent.parent / "docs" / "lists.md").read_text(encoding="utf-8")
SAMPLES = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
NOW_MS = parse_time("2026-11-29")
GOOD = {
    "list": "sx", "entry_id": "A-1", "document_type": "resident_id",
    "document_number": "110105186712150017",
}  # fmt: skip


@pytest.fixture
def roster(valkey: Server, tmp_path: Path) -> Roster:
    return Roster(settings_for(valkey, tmp_path), tmp_path, Limits())


@pytest.mark.parametrize(
    ("form", "sample"), [each for each in SAMPLES if each[0] != "json"], ids=lambda each: each[:12]
)
def test_every_sample_of_the_page_loads_whole(roster: Roster, form: str, sample: str) -> None:
    path = roster.folder / ("list.csv" if form == "csv" else "list.jsonl")
    path.write_text(sample, encoding="utf-8")
    lists = tuple(name for name in ("sx", "xgl") if re.search(rf'\b{name}[",]', sample))
    kind = form if form in {"zxgk", "xycj"} else "auto"
    files = Files((str(path),), lists or ("sx",), NOW_MS, format=kind)  # type: ignore[arg-type]
    summary = roster.load_files(files)
    rows = sample.count("\n") - (form == "csv")
    assert (summary.rows, summary.rejected, summary.warnings) == (rows, {}, {})
    assert summary.added + summary.ended == rows


def test_the_manifest_of_the_page_is_the_first_samples(roster: Roster) -> None:
    sample = next(text for form, text in SAMPLES if form == "csv")
    stated = next(text for form, text in SAMPLES if form == "json")
    path = roster.folder / "list.csv"
    path.write_text(sample, encoding="utf-8")
    (roster.folder / "list.csv.manifest.json").write_text(stated)
    assert json.loads(stated)["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert roster.load_files(Files((str(path),))).rows == 3


def test_every_column_is_on_the_page() -> None:
    assert [name for name in COLUMNS if f"`{name}`" not in PAGE] == []


def test_every_cell_of_the_table_of_rejects_gets_that_reason() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` `([^`]*)` \|", PAGE, re.MULTILINE)
    reader = Reader(COLUMNS, None, NOW_MS)
    for reason, column, cell in rows:
        read = reader.read(2, [(GOOD | {column: cell}).get(name, "") for name in COLUMNS])
        assert isinstance(read, Reject), (reason, cell)
        assert read.reason == reason, cell
    assert len({reason for reason, *_ in rows}) == 9


def test_every_cell_of_the_table_of_wrappers_is_read_so() -> None:
    rows = re.findall(r"^\| `([^`|]+)` \| `(\d+)` \|$", PAGE, re.MULTILINE)
    assert len(rows) >= 7
    for cell, number in rows:
        read, bare = (document("resident_id", each, "", "", "20261129") for each in (cell, number))
        assert read == bare


def test_the_limits_are_as_the_page_says() -> None:
    rows = re.findall(r"^\| `--max-(\w+)` \| (\S+) \|", PAGE, re.MULTILINE)
    assert {name: getattr(Limits(), name).text for name, _ in rows} == dict(rows)
    assert len(rows) == 4
