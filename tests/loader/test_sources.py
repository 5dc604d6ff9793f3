from __future__ import annotations

import datetime as dt
import gzip
import hashlib
import io
import json
import os
import sys
import zipfile
from decimal import Decimal
from pathlib import Path

import msgspec
import pyarrow as pa
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from loader.columns.sheets import COLUMNS, LINE_MAX_BYTES, Layout, Torn
from loader.files.blocks import cut
from loader.files.sources import Source, SourceOptions
from roster.errors import LoadRefused
from tests.loader.rowwise import open_rows, parse_block

HEADER = ["list", "entry_id", "document_type", "document_number", "name"]
ROWS = [["sx", f"案{index}号/1", "resident_id", f"{index:018}", "张某某"] for index in range(5)]
CSV = "".join(",".join(row) + "\n" for row in [HEADER, *ROWS]).encode()
IdNumberFinder = list[tuple[int, list[str]]]


def rows(path: Path, **options: object) -> IdNumberFinder:
    return list(open_rows(str(path), msgspec.convert(options, SourceOptions)))


def written(tmp_path: Path, data: bytes, name: str = "list.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(data)
    return path


def torn(found: IdNumberFinder) -> list[int]:
    return [line for line, row in found if isinstance(row, Torn)]


def refused(path: Path, **options: object) -> str:
    with pytest.raises(LoadRefused) as refusal:
        rows(path, **options)
    return str(refusal.value)


def zipped(data: bytes, *names: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, data)
    return packed.getvalue()


PACKED = {
    "list.csv": CSV,
    "bom.csv": b"\xef\xbb\xbf" + CSV,
    "crlf.csv": CSV.replace(b"\n", b"\r\n"),
    "no-last-newline.csv": CSV[:-1],
    "blank-lines.csv": CSV + b"\n\n",
    "list.csv.gz": gzip.compress(CSV),
    "members.csv.gz": gzip.compress(CSV[:40]) + gzip.compress(CSV[40:]) + bytes(512),
    "list.csv.zst": zstandard.compress(CSV),
    "frames.csv.zst": zstandard.compress(CSV[:40]) + zstandard.compress(CSV[40:]),
    "list.zip": zipped(CSV, "list.csv"),
    "no-suffix": CSV,
    "packed-without-suffix": gzip.compress(CSV),
}


@pytest.mark.parametrize("name", PACKED)
def test_a_list_is_the_same_however_it_is_packed(name: str, tmp_path: Path) -> None:
    path = written(tmp_path, PACKED[name], name)
    assert rows(path) == list(enumerate(ROWS, 2))
    with Source(str(path), SourceOptions()) as source:
        assert source.layout.columns == tuple(HEADER)
        for _ in source.blocks():
            pass
        assert source.sha256() == hashlib.sha256(PACKED[name]).hexdigest()
        assert source.stream.read_bytes == len(PACKED[name])


@pytest.mark.parametrize("name", PACKED)
def test_standard_input_may_be_packed_too(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(Pipe(PACKED[name])))
    assert list(open_rows("-", SourceOptions())) == list(enumerate(ROWS, 2))


@pytest.mark.parametrize("encoding", ["gb18030", "GBK", "gb2312"])
def test_gb18030_is_read_when_it_is_asked_for(encoding: str, tmp_path: Path) -> None:
    path = written(tmp_path, CSV.decode().encode("gb18030"))
    assert rows(path, encoding=encoding) == list(enumerate(ROWS, 2))
    assert torn(rows(path)) == [2, 3, 4, 5, 6]


def test_encodings_are_never_guessed(tmp_path: Path) -> None:
    assert "utf-8 or gb18030" in refused(written(tmp_path, CSV), encoding="latin-1")
    assert "UTF-16" in refused(written(tmp_path, CSV.decode().encode("utf-16")))


JSON_ROWS = [dict(zip(HEADER, row, strict=True)) for row in ROWS]
JSON_LINES = "".join(json.dumps(row) + "\n" for row in JSON_ROWS).encode()


def wide(row: list[str]) -> list[str]:
    cells = dict(zip(HEADER, row, strict=True))
    return [cells.get(column, "") for column in COLUMNS]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("list.jsonl", JSON_LINES),
        ("list.jsonl", b"\xef\xbb\xbf" + JSON_LINES.replace(b"\n", b"\r\n")),
        ("list", JSON_LINES),
        ("list.json.gz", gzip.compress(JSON_LINES)),
        ("list.json", json.dumps(JSON_ROWS).encode()),
    ],
)
def test_json_rows_have_every_column(name: str, data: bytes, tmp_path: Path) -> None:
    found = rows(written(tmp_path, data, name))
    assert found == [(line, wide(row)) for line, row in enumerate(ROWS, 1)]


def test_json_cells_may_be_numbers_lists_or_null(tmp_path: Path) -> None:
    row = {"entry_id": 5, "revision": 1.5e12, "name": ["a", "b"], "until": None}
    (found,) = rows(written(tmp_path, json.dumps(row).encode(), "l.jsonl"))
    cells = dict(zip(COLUMNS, found[1], strict=True))
    assert (cells["entry_id"], cells["revision"], cells["name"], cells["until"]) == (
        "5", "1500000000000", "a|b", "",
    )  # fmt: skip


@pytest.mark.parametrize(
    "line",
    [
        '{"entry_id": "a", "untill": "2018-01-01"}',
        '{"entry_id": "a", "name": {"a": 1}}',
        '{"entry_id": "a", "name": "a\\u0000b"}',
        '{"entry_id": "a", "kind": true}',
        '{"entry_id": "a", "name": "a\tb"}',
        '{"entry_id": "a", "name": "\\ud800"}',
    ],
)
def test_a_json_row_with_a_fault_is_torn_and_its_entry_id_legible(
    line: str, tmp_path: Path
) -> None:
    ((_, row),) = rows(written(tmp_path, line.encode(), "l.jsonl"))
    assert isinstance(row, Torn)
    assert row[COLUMNS.index("entry_id")] == "a"


@pytest.mark.parametrize("line", [b"{", b"5", b'"a"', b"null", b"\xff\xfe{", b"[" * 100_000])
def test_what_is_no_json_object_costs_its_own_line(line: bytes, tmp_path: Path) -> None:
    found = rows(written(tmp_path, JSON_LINES + line + b"\n" + JSON_LINES, "l.jsonl"))
    assert torn(found) == [6]
    assert len(found) == 11


def test_parquet_is_read_in_batches(tmp_path: Path) -> None:
    columns = {name: [row[index] for row in ROWS] for index, name in enumerate(HEADER)}
    table = pa.table({**columns, "revision": [1, None, 3, 4, 5], "modes": [["air", "rail"]] * 5})
    path = tmp_path / "list.parquet"
    parquet.write_table(table, path)
    found = rows(path)
    assert [line for line, _ in found] == [1, 2, 3, 4, 5]
    assert [row[:5] for _, row in found] == ROWS
    assert [row[5] for _, row in found] == ["1", "", "3", "4", "5"]
    assert found[0][1][6] == "air|rail"
    with path.open("rb") as file, Source(str(path), SourceOptions()) as source:
        assert source.sha256() == hashlib.sha256(file.read()).hexdigest()
    path.write_bytes(path.read_bytes()[:-20])
    assert "Parquet" in refused(path)


def test_a_flipped_bit_in_a_page_with_a_checksum_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "list.parquet"
    values = ["".join(map(str, range(start, start + 90))) for start in range(50)]
    table = pa.table(dict.fromkeys(HEADER, values))
    parquet.write_table(
        table, path, write_page_checksum=True, compression="none", use_dictionary=False
    )
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    path.write_bytes(bytes(data))
    assert "Parquet file is truncated or damaged" in refused(path)


def test_damage_that_pyarrow_does_not_name_is_refused_too(tmp_path: Path) -> None:
    path = tmp_path / "list.parquet"
    parquet.write_table(pa.table({key: ["x"] for key in HEADER}), path, store_schema=False)
    data = path.read_bytes()
    path.write_bytes(data.replace(b"entry_id", b"\xe3ntry_id"))
    assert "not Parquet" in refused(path)
    columns = {key: [10**15] for key in HEADER}
    parquet.write_table(pa.table(columns, pa.schema((n, pa.timestamp("s")) for n in HEADER)), path)
    assert "Parquet file is truncated or damaged" in refused(path)


def test_a_text_that_a_parquet_file_says_often_is_in_memory_once(tmp_path: Path) -> None:
    texts = pa.DictionaryArray.from_arrays(pa.array([0, 1] * 8_000, pa.int32()), ["x" * 2**20, "y"])
    path = tmp_path / "list.parquet"
    columns = {**dict.fromkeys(HEADER[1:], pa.array(["z"] * 16_000)), "list": texts}
    parquet.write_table(pa.table(columns), path, store_schema=False)
    assert path.stat().st_size < 1 << 20
    before = pa.default_memory_pool().max_memory()
    found = rows(path)
    assert pa.default_memory_pool().max_memory() < before + (200 << 20)
    assert len(found) == 16_000
    assert torn(found) == []
    parquet.write_table(pa.table(dict.fromkeys(HEADER, pa.array(["x" * 2**20 + "x", None]))), path)
    assert torn(rows(path)) == [1]
    nothing = pa.table(dict.fromkeys(HEADER, pa.array(["\n" * (20 << 20)])))
    parquet.write_table(nothing, path, use_dictionary=False, compression="zstd")
    assert "grows" in refused(path)


def test_numbers_of_every_type_are_whole_or_say_that_they_are_not(tmp_path: Path) -> None:
    old, card = "110105790304997", "110105186712150017"
    columns = {
        "list": pa.array([float(old), 12345678.0], pa.float32()),
        "entry_id": pa.array([Decimal(f"{old}.00"), Decimal(f"{card}.00")], pa.decimal128(38, 2)),
        "document_type": pa.array([float(old), float(card)], pa.float64()),
        "document_number": pa.array([int(old), int(card)], pa.int64()),
        "name": pa.array([2048.0, 2047.0], pa.float16()),
    }
    path = tmp_path / "list.parquet"
    parquet.write_table(pa.table(columns), path)
    assert [row for _, row in rows(path)] == [
        ["1.101058e+14", old, old, old, "2.048000e+03"],
        ["12345678", card, "1.101052e+17", card, "2047"],
    ]


def test_cells_with_types_become_the_text_that_a_csv_would_have(tmp_path: Path) -> None:
    cells = {
        "list": ["a\0b", "sx"],
        "entry_id": [1.0, float("nan")],
        "document_type": [None, "other"],
        "document_number": [1.10105e17, 5.5],
        "from": [dt.date(2018, 3, 1), None],
        "until": [dt.datetime(2018, 3, 1, tzinfo=dt.UTC), None],
    }
    path = tmp_path / "list.parquet"
    parquet.write_table(pa.table(cells), path)
    found = [row for _, row in rows(path)]
    assert isinstance(found[0], Torn)
    assert found == [
        ["a\0b", "1", "", "1.101050e+17", "2018-03-01", "2018-03-01T00:00:00+00:00"],
        ["sx", "", "other", "5.5", "", ""],
    ]


def test_a_pipe_may_be_named_as_a_file(tmp_path: Path) -> None:
    for data in (CSV, PACKED["list.zip"]):
        readable, writable = os.pipe()
        os.write(writable, data)
        os.close(writable)
        assert rows(Path(f"/dev/fd/{readable}")) == list(enumerate(ROWS, 2))
        os.close(readable)


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("entry_id,document_type,document_number", "lacks list"),
        ("list,entry_id,document_type", "lacks document_number"),
        ("list,entry_id,document_type,document_number,untill", "has unknown untill"),
        ("list,entry_id,entry_id,document_type,document_number", "repeats entry_id"),
        ("list;entry_id;document_type;document_number", "lacks list, entry_id"),
        ('list,"entry_id,document_type,document_number', "the header cannot be read"),
    ],
)
def test_a_wrong_header_is_refused_by_name(header: str, said: str, tmp_path: Path) -> None:
    assert said in refused(written(tmp_path, header.encode() + b"\na,b,c\n"))


def test_a_header_that_is_a_row_of_data_is_not_repeated(tmp_path: Path) -> None:
    latin = [*ROWS[0][:4], "PETROV", "Petrova", ROWS[0][3]]
    for row in (ROWS[0], ROWS[0] * 2, latin, latin * 2):
        said = refused(written(tmp_path, ",".join(row).encode()))
        assert ROWS[0][3] not in said
        assert "张" not in said
        assert "petrov" not in said.lower()


def test_a_list_need_not_be_named_twice(tmp_path: Path) -> None:
    path = written(tmp_path, b"Entry_ID, document_type ,DOCUMENT_NUMBER\na,b,c\n")
    assert rows(path, listed=True) == [(2, ["a", "b", "c"])]


@pytest.mark.parametrize("data", [b"", b"\n", b"\xef\xbb\xbf"])
def test_an_empty_file_has_no_rows(data: bytes, tmp_path: Path) -> None:
    assert rows(written(tmp_path, data)) == []


@pytest.mark.parametrize("name", ["list.csv.gz", "list.csv.zst", "list.zip"])
def test_a_file_that_is_cut_short_anywhere_is_refused(name: str, tmp_path: Path) -> None:
    whole = PACKED[name]
    for end in range(len(whole) - 1):
        assert "truncated" in refused(written(tmp_path, whole[:end], name))


def test_a_flipped_bit_in_a_gzip_is_never_taken_for_a_list(tmp_path: Path) -> None:
    whole = PACKED["list.csv.gz"]
    for position in range(10, len(whole)):
        data = bytearray(whole)
        data[position] ^= 1
        refused(written(tmp_path, bytes(data), "list.csv.gz"))


@pytest.mark.parametrize("more", [b"x", b"not a member at all", PACKED["list.csv.gz"][:-1]])
def test_whatever_follows_a_gzip_but_members_and_zeros_is_refused(
    more: bytes, tmp_path: Path
) -> None:
    path = written(tmp_path, PACKED["list.csv.gz"] + more, "list.csv.gz")
    assert "truncated or damaged" in refused(path)


def test_files_that_are_no_lists_are_refused(tmp_path: Path) -> None:
    assert "No such file" in refused(tmp_path / "none.csv")
    assert "directory" in refused(tmp_path)
    assert "2 files" in refused(written(tmp_path, zipped(CSV, "a.csv", "b.csv"), "a.zip"))
    assert "0 files" in refused(written(tmp_path, zipped(CSV), "a.zip"))
    # The length of the name in the directory becomes that of a comment.
    nameless = zipped(CSV, "a.csv").replace(b"\5\0\0\0\0\0", b"\0\0\0\0\5\0")
    assert "truncated or damaged" in refused(written(tmp_path, nameless, "a.zip"))
    assert "not Parquet" in refused(written(tmp_path, CSV, "a.parquet"))
    assert "JSON array" in refused(written(tmp_path, b'[{"entry_id": ', "a.json"))


def test_a_flipped_bit_in_a_zip_is_never_an_error_of_ours(tmp_path: Path) -> None:
    whole = zipped(CSV, "清单.csv")
    for position in range(len(whole)):
        for bit in (1, 2, 64, 128):
            data = bytearray(whole)
            data[position] ^= bit
            try:
                found = rows(written(tmp_path, bytes(data), "list.zip"))
            except LoadRefused:
                continue
            assert found == list(enumerate(ROWS, 2))


def test_a_bomb_is_refused(tmp_path: Path) -> None:
    bomb = gzip.compress(CSV + bytes(100 << 20))
    assert "grows" in refused(written(tmp_path, bomb, "bomb.csv.gz"))
    bomb = zstandard.compress(CSV + b"\n" * (100 << 20))
    assert "grows" in refused(written(tmp_path, bomb, "bomb.csv.zst"))


def test_quoted_cells_may_hold_commas_quotes_and_line_breaks(tmp_path: Path) -> None:
    tricky = ["sx", 'a"b', "x,y", "one\ntwo\n\nthree", "张,某"]
    quoted = ",".join('"' + cell.replace('"', '""') + '"' for cell in tricky).encode()
    plain = ",".join(ROWS[0]).encode()
    head = ",".join(HEADER).encode()
    path = written(tmp_path, b"\n".join([head, plain, quoted, plain, quoted, b""]))
    assert rows(path) == [(2, ROWS[0]), (3, tricky), (7, ROWS[0]), (8, tricky)]


@pytest.mark.parametrize(
    "fault",
    [
        b'sx,"a,b,c,d',
        b'sx,"a"b,b,c,d',
        b"sx,a,b,c,\xff\xfe",
        b"sx,a,b\0,c,d",
        b"sx,a,b\rb,c,d",
        b"sx,a,b,c," + b"x" * (LINE_MAX_BYTES + 1),
        b"sx,a,b,c," + b"x" * (10 << 20),
        b'"' * 3 + b"x" * (10 << 20),
    ],
    ids=["open quote", "text after quote", "not UTF-8", "NUL", "CR", "1 MiB", "10 MiB", "quotes"],
)
def test_a_fault_costs_its_own_row_only(fault: bytes, tmp_path: Path) -> None:
    found = rows(written(tmp_path, CSV + fault + b"\n" + CSV.partition(b"\n")[2]))
    assert torn(found) == [7]
    good = [(line, row) for line, row in found if line != 7]
    assert good == list(enumerate(ROWS, 2)) + list(enumerate(ROWS, 8))


def test_of_a_torn_row_what_is_legible_is_kept(tmp_path: Path) -> None:
    found = rows(written(tmp_path, CSV + b'sx,"entry-1",b,c,\xff\n'))
    assert isinstance(found[-1][1], Torn)
    assert found[-1][1][:2] == ["sx", "entry-1"]


def test_two_stray_quotes_far_apart_do_not_swallow_what_is_between(tmp_path: Path) -> None:
    stray = b'sx,"a,b,c,d\n'
    body = CSV.partition(b"\n")[2]
    found = rows(written(tmp_path, CSV + stray + body + stray + body))
    assert torn(found) == [7, 13]
    assert len(found) == 17


CELL = st.text(st.sampled_from('ab,"\n张 '), max_size=6)


@settings(deadline=None)
@given(st.lists(st.lists(CELL, min_size=3, max_size=3), max_size=30), st.integers(1, 200))
def test_blocks_never_change_what_a_file_says(cells: list[list[str]], block_bytes: int) -> None:
    """Every row is quoted as RFC 4180 has it; wherever the file is cut, the rows are the same."""
    data = "".join(
        ",".join('"' + cell.replace('"', '""') + '"' for cell in row) + "\n" for row in cells
    ).encode()
    chunks = [data[start : start + 7] for start in range(0, len(data), 7)]
    layout = Layout("csv", header=("a", "b", "c"))
    found = [
        row for block in cut(chunks, 2, 3, block_bytes) for _, row in parse_block(block, layout)
    ]
    assert found == cells


@settings(deadline=None)
@given(st.binary(max_size=400), st.integers(1, 60))
def test_cutting_loses_no_byte_and_any_block_can_be_read(data: bytes, block_bytes: int) -> None:
    chunks = [data[start : start + 7] for start in range(0, len(data), 7)]
    pieces = list(cut(chunks, 1, 3, block_bytes))
    assert b"".join(block.data for block in pieces) == data
    line = 1
    for block in pieces:
        assert block.first_line == line
        line += block.data.count(b"\n")
        for layout in (Layout("csv", header=("a", "b", "c")), Layout("json")):
            for number, _ in parse_block(block, layout):
                assert block.first_line <= number


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.binary(max_size=200))
def test_any_file_is_read_or_refused(data: bytes, tmp_path: Path) -> None:
    for name in ("a", "a.csv", "a.json", "a.csv.gz", "a.zst", "a.zip", "a.parquet"):
        for form in ("auto", "zxgk", "xycj"):
            try:
                rows(written(tmp_path, data, name), format=form)
            except LoadRefused:
                continue
