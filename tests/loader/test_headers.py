"""Files that are no lists, or lists of another kind: what is wrong is said, and what to do."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import zipfile
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
import zstandard
from pyarrow import parquet

from loader.files.sources import Source, SourceOptions
from roster.errors import LoadRefused
from tests.loader.loads import number
from tests.loader.rowwise import open_rows

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ("list", "entry_id", "document_type", "document_number", "name")
HEADER = ",".join(NAMES)
CELLS = ("sx", "(2018)京0105执1号/1", "resident_id", number(1), "张某某")
ROW = ",".join(CELLS)
LIST = f"{HEADER}\n{ROW}\n{ROW}\n"
COURTS = "案号,身份证号码,姓名,执行法院"
COURTS_ROW = f"(2018)京0105执1号,{number(1)},张某某,北京市朝阳区人民法院"


def refused(tmp_path: Path, data: bytes | str, name: str = "list.csv", **options: str) -> str:
    path = tmp_path / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    with pytest.raises(LoadRefused) as refusal:
        list(open_rows(str(path), SourceOptions(**options)))  # type: ignore[arg-type]
    said = str(refusal.value)
    assert number(1) not in said
    assert "张某某" not in said
    return said


def zipped(*names: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name in names:
            archive.writestr(zipfile.ZipInfo(name), "x")
    return packed.getvalue()


def tarred() -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        member = tarfile.TarInfo("list.csv")
        member.size = len(LIST.encode())
        archive.addfile(member, io.BytesIO(LIST.encode()))
    return packed.getvalue()


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (f"{HEADER},colour", "has unknown colour"),
        (f"{HEADER},Colour of hair", "has unknown Colour of hair"),
        (f"{HEADER},untill", "has unknown untill: untill is perhaps until"),
        ("list,Entry-ID,document type,documentNumber", "Entry-ID is perhaps entry_id"),
        (f"{HEADER},姓名", "has unknown 姓名"),
        ("404 Not Found", "has unknown 404 Not Found"),
        (f"{HEADER},name", "repeats name"),
        (f"{HEADER},{'x' * 500}", "x" * 40 + "…"),
        (HEADER + "".join(f",x{n}" for n in range(100)), "x11, …"),
        (f"{HEADER},张某某", "has unknown (unprintable)"),
        (f"{HEADER},", "has unknown (unprintable)"),
        (f"{HEADER},{number(1)}", "has unknown (unprintable)"),
        (f"{HEADER},\x1b[31m", "has unknown (unprintable)"),
    ],
)
def test_the_names_of_a_header_are_shown_as_they_are(
    header: str, said: str, tmp_path: Path
) -> None:
    assert said in refused(tmp_path, f"{header}\n{ROW}\n")


@pytest.mark.parametrize(
    "line",
    [
        ROW,
        f"{number(1)},张某某",
        f"张某某,sx,{number(1)}",
        "PETROV,Petrova,E12345678",
        "张某某,1101051949****002X",
        "张某某,resident_id",
        f"{number(1)};张某某;x",
        json.dumps(dict(zip(NAMES, CELLS, strict=True)), ensure_ascii=False),
    ],
)
def test_a_first_line_that_is_data_is_never_repeated(line: str, tmp_path: Path) -> None:
    said = refused(tmp_path, f"{line}\n{ROW}\n")
    assert "the first line looks like data" in said or "--format jsonl" in said
    assert "petrov" not in said.lower()


@pytest.mark.parametrize(
    ("separator", "named"),
    [
        (";", "semicolons (;)"), ("\t", "tabs"), ("|", "bars (|)"), ("，", "，"), ("；", "；"),
        ("、", "、"), (":", "colons (:)"), ("^", "'^'"), ("\x01", "'\\x01'"), ("||", "'||'"),
        (" ; ", "semicolons (;)"), ('";"', "semicolons (;)"), ('"\t"', "tabs"), (" ", "blanks"),
    ],
)  # fmt: skip
def test_another_separator_is_named(separator: str, named: str, tmp_path: Path) -> None:
    edge = '"' if '"' in separator else ""
    lines = "".join(edge + separator.join(cells) + edge + "\n" for cells in (NAMES, CELLS))
    assert f"the columns are separated by {named}: save the file as CSV with commas" in refused(
        tmp_path, lines
    )
    courts = refused(tmp_path, COURTS.replace(",", separator) + "\n") if not edge else ""
    assert not courts or f"separated by {named}" in courts
    assert not courts or "--format zxgk" in courts


@pytest.mark.parametrize("first", ["sep=,", "sep=;", '"sep=,"', "SEP=\t", "\ufeffsep=,"])
def test_a_spreadsheets_hint_in_the_first_line_is_named(first: str, tmp_path: Path) -> None:
    said = refused(tmp_path, f"{first}\r\n{LIST}")
    assert "take the first line (" in said
    assert "sep=" in said.lower()


@pytest.mark.parametrize("before", ["失信被执行人名单", "List as of 2024-01-01,,,,", "", "# x\n#"])
def test_a_title_before_the_header_is_named(before: str, tmp_path: Path) -> None:
    line = before.count("\n") + 2
    if before:
        assert f"the header stands in line {line}" in refused(tmp_path, f"{before}\n{LIST}")
    assert "the header stands in line 3" in refused(tmp_path, f"\n\n{LIST}")


def test_line_ends_of_an_old_mac_are_named_and_no_row_is_repeated(tmp_path: Path) -> None:
    assert "CR alone" in refused(tmp_path, LIST.replace("\n", "\r"))


def test_lines_that_are_quoted_as_a_whole_are_named(tmp_path: Path) -> None:
    assert "quoted as a whole" in refused(tmp_path, f'"{HEADER}"\n"{ROW}"\n')


@pytest.mark.parametrize(
    ("header", "dialect"),
    [
        (COURTS, "zxgk"),
        ("被执行人姓名/名称,身份证号码/组织机构代码,执行法院,案号", "zxgk"),
        ("id,iname,caseCode,cardNum,courtName,publishDate", "zxgk"),
        ("XM,AH,ZXFYMC,QY_MC", "zxgk"),
        ("ID,AH,BZXRMC,BZXRLXMC,ZJLXMC,ZJHM,FBSJ,LASTUPDATE", "xycj"),
    ],
)
def test_the_courts_own_columns_are_told_their_format(
    header: str, dialect: str, tmp_path: Path
) -> None:
    assert f"--format {dialect} reads them" in refused(tmp_path, f"{header}\n")
    record = dict.fromkeys(header.split(","), "x")
    said = refused(tmp_path, json.dumps(record, ensure_ascii=False), "list.jsonl")
    assert f"--format {dialect} reads them" in said


def test_columns_with_chinese_names_are_read_as_zxgk(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    for encoding in ("utf-8", "gb18030"):
        path.write_bytes(f"{COURTS}\n{COURTS_ROW}\n".encode(encoding))
        ((_, row),) = open_rows(str(path), SourceOptions(encoding, "zxgk"))
        assert row[:4] == ["sx", "(2018)京0105执1号", "resident_id", number(1)]
        assert "北京市朝阳区人民法院" in row


def test_columns_with_chinese_names_are_none_of_xycj(tmp_path: Path) -> None:
    said = refused(tmp_path, f"编号,{COURTS}\n1,{COURTS_ROW}\n", format="xycj")
    assert "none of the fields of xycj, but 编号, 案号" in said
    assert "--format zxgk reads them" in said


def test_a_dialect_that_the_file_is_not_of_is_refused(tmp_path: Path) -> None:
    assert "none of the fields of zxgk" in refused(tmp_path, LIST, format="zxgk")
    assert "none of the fields of xycj" in refused(tmp_path, f"{COURTS}\n", format="xycj")
    own = json.dumps(dict(zip(NAMES, CELLS, strict=True)))
    assert "our own keys" in refused(tmp_path, own, "list.jsonl", format="xycj")
    assert "looks like data" in refused(tmp_path, ROW, format="zxgk")


GB18030 = "the file is GB18030, not UTF-8: load it with --encoding gb18030"


def test_a_header_in_another_encoding_is_told_which(tmp_path: Path) -> None:
    assert GB18030 in refused(tmp_path, f"{COURTS}\n".encode("gb18030"))
    assert "neither UTF-8 nor GB18030" in refused(tmp_path, "numéro;nom".encode("latin-1"))
    for name in ("utf-16", "utf-16-le", "utf-16-be", "utf-32"):
        said = refused(tmp_path, LIST.encode(name))
        assert "UTF-16" in said
        assert "CSV UTF-8" in said


def test_a_list_in_utf_8_is_not_read_as_gb18030(tmp_path: Path) -> None:
    for data in (LIST, "\ufeff" + LIST):
        assert "load it without --encoding" in refused(tmp_path, data, encoding="gb18030")


@pytest.mark.parametrize(
    ("encodings", "hint"),
    [
        (("gb18030", "gb18030"), GB18030),
        (("utf-8", "gb18030"), "some lines are UTF-8, others GB18030"),
        (("utf-8", "utf-8"), ""),
    ],
)
def test_rows_in_another_encoding_are_a_hint(
    encodings: tuple[str, str], hint: str, tmp_path: Path
) -> None:
    path = tmp_path / "list.csv"
    rows = b"".join(f"{ROW}\n".encode(encoding) for encoding in encodings)
    path.write_bytes(f"{HEADER}\n".encode() + rows)
    with Source(str(path), SourceOptions()) as source:
        assert hint in source.hint
        assert bool(hint) == bool(source.hint)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({name.upper(): cell for name, cell in zip(NAMES, CELLS, strict=True)}, "in lower case"),
        ({"entryId": "a", "documentNumber": number(1)}, "entryId is perhaps entry_id"),
        ({"code": 500, "message": "no"}, "but code, message: a row needs the keys entry_id"),
        ({"op": "put", "list": "sx", "entry_id": "a"}, "`clearway push FILE`"),
        ({"data": [{"entry_id": "a"}]}, "jq -c '.data[]' FILE"),
        ([{"ENTRY_ID": "a"}], "in lower case"),
        ([{"op": "remove"}], "`clearway push FILE`"),
    ],
)
def test_json_of_another_kind_is_named(value: object, said: str, tmp_path: Path) -> None:
    text = json.dumps(value)
    assert said in refused(tmp_path, text, "list.jsonl")
    assert said in refused(tmp_path, text, "list.json")


def test_json_over_several_lines_is_told_how_to_become_json_lines(tmp_path: Path) -> None:
    row = dict(zip(NAMES, CELLS, strict=True))
    assert "one JSON object over several lines" in refused(
        tmp_path, json.dumps(row, indent=2), "list.json"
    )


def test_a_text_in_another_form_than_its_name_says_is_told_the_format(tmp_path: Path) -> None:
    path = tmp_path / "list.jsonl"
    path.write_text(LIST, encoding="utf-8")
    with Source(str(path), SourceOptions()) as source:
        assert "--format csv" in source.hint
    row = json.dumps(dict(zip(NAMES, CELLS, strict=True)))
    assert "--format jsonl" in refused(tmp_path, row, "list.csv")


def test_keys_that_no_column_has_are_a_hint(tmp_path: Path) -> None:
    path = tmp_path / "list.jsonl"
    row = dict(zip(NAMES, CELLS, strict=True))
    path.write_text(json.dumps(row) + "\n" + json.dumps(row | {"colour": "red"}))
    with Source(str(path), SourceOptions()) as source:
        assert source.hint == "rows have keys that no column has: colour"


WORKBOOK = zipped("[Content_Types].xml", "_rels/.rels", "xl/workbook.xml")
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("list.xlsx", WORKBOOK), ("LIST.XLSX", WORKBOOK), ("list.csv", WORKBOOK),
        ("list", WORKBOOK), ("list.zip", WORKBOOK), ("list.xlsx", WORKBOOK[:40]),
        ("list.xls", OLE), ("list.csv", OLE), ("list.et", OLE), ("list.xlsb", WORKBOOK),
        ("list.ods", zipped("mimetype", "content.xml")), ("list.xls", b"\x09\x08\x10\0"),
        ("list", zipped("mimetype", "content.xml")), ("list.numbers", zipped("Index/a.iwa")),
        ("list.xml", b"<?xml version='1.0'?><?mso-application progid='Excel.Sheet'?><a/>"),
    ],
)  # fmt: skip
def test_a_workbook_is_told_to_become_csv(name: str, data: bytes, tmp_path: Path) -> None:
    said = refused(tmp_path, data, name)
    assert "save it as 'CSV UTF-8 (comma delimited)'" in said


def test_a_text_that_is_called_a_workbook_is_told_so(tmp_path: Path) -> None:
    assert "call it .csv" in refused(tmp_path, LIST, "list.xlsx")
    assert "HTML" in refused(tmp_path, "<html><table>", "list.xls")


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"<!DOCTYPE html>\n<html lang=zh>", "an HTML page"),
        (b"\xef\xbb\xbf\n <HTML><head>", "an HTML page"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "XML or a web page"),
        (b"%PDF-1.7\n", "a PDF"), (b"BZh91AY&SY", "bzip2"), (b"\xfd7zXZ\0\0", "xz"),
        (b"7z\xbc\xaf\x27\x1c\0", "7-Zip"), (b"Rar!\x1a\x07\x01\0", "RAR"),
        (b"\x89PNG\r\n", "a picture"), (b"SQLite format 3\0", "SQLite"),
        (b"-----BEGIN PGP MESSAGE-----\n", "decrypt it first"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
    ],
)  # fmt: skip
def test_what_is_no_list_is_called_by_its_name(data: bytes, what: str, tmp_path: Path) -> None:
    assert what in refused(tmp_path, data)
    assert what in refused(tmp_path, gzip.compress(data), "list.csv.gz")


@pytest.mark.parametrize(
    ("name", "what"),
    [("list.csv.gz", "gzip"), ("list.csv.zst", "zstd"), ("list.zip", "a zip"),
     ("list.parquet", "Parquet")],
)  # fmt: skip
def test_a_plain_file_that_is_called_compressed_is_told_so(
    name: str, what: str, tmp_path: Path
) -> None:
    said = refused(tmp_path, LIST, name)
    assert f"is not {what}" in said
    assert "call it list.csv" in said
    assert "truncated" not in said


def test_a_compressed_file_is_read_whatever_it_is_called(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    for data in (gzip.compress(LIST.encode()), zstandard.compress(LIST.encode())):
        path.write_bytes(data)
        assert len(list(open_rows(str(path), SourceOptions()))) == 2


def test_what_is_packed_twice_is_told_so(tmp_path: Path) -> None:
    once = gzip.compress(LIST.encode())
    assert "unpack it" in refused(tmp_path, gzip.compress(once), "list.csv.gz")
    assert "a tar archive" in refused(tmp_path, tarred(), "list.tar.gz")


def test_a_manifest_is_no_list(tmp_path: Path) -> None:
    assert "a manifest" in refused(tmp_path, "{}", "list.csv.manifest.json")


def test_the_columns_of_a_parquet_file_are_named_too(tmp_path: Path) -> None:
    path = tmp_path / "list.parquet"
    parquet.write_table(pa.table({"案号": ["x"], "身份证号码": ["x"], "姓名": ["x"]}), path)
    said = refused(tmp_path, path.read_bytes(), "list.parquet")
    assert "has unknown 案号, 身份证号码, 姓名" in said
    parquet.write_table(pa.table({name.upper(): ["x"] for name in NAMES}), path)
    assert len(list(open_rows(str(path), SourceOptions()))) == 1
