"""Files of every format, good ones and mutated ones, as Hypothesis draws them."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from hypothesis import strategies as st

from loader.columns.sheets import COLUMNS
from loader.files.sources import SourceOptions
from tests.loader.damage import zipped, zst
from tests.loader.loads import number

NAMES = ("张某某", "欧阳无名", "PETROV IVAN")
SECRETS = (*NAMES, *(number(n) for n in range(30)), "SYN0000007", "13800138000")
"""What is in the files of people: no message may repeat any of it."""

_ID = "(2018)京0105执1号"
_CELLS: dict[str, tuple[str, ...]] = {
    "list": ("sx", "sx", "sx", "xgl", "lift", "bind", "nolist", "", " SX ", number(3)),
    "entry_id": (f"{_ID}/1", f"{_ID}/2", "2018-7", "", "x" * 129, f"x{number(4)}", " a "),
    "document_type": ("resident_id", "resident_id", "passport", "other", "hk_macao_permit",
                      "organisation", "unpublished", "taiwan_permit", "", "Resident_ID ", "card"),
    "document_number": (*(number(n) for n in range(6)), "SYN0000007", "H12345678", "12345678",
                        "1101051849****0020", "1.10105E+17", "", "1" * 65, number(7)[:15],
                        "91010519491231002X", number(8).lower(), "13800138000", "０１２"),
    "document_issuer": ("", "", "RUS", "CHN", "D<<", "XYZ", "１"),
    "document_kind": ("", "", "seaman", "other", "x"),
    "name": (*NAMES, "|".join(NAMES), "", "a|b|c|d|e", "x" * 101, f"张{number(5)}", "|"),
    "revision": ("1500000000000", "1500000000001", "", "0", "-1", "9" * 17, "1e3", "١", " 7 ",
                 "7258118400000"),
    "updated_at": ("", "", "2018-01-01", "2018-13-01", "2199-01-01", "2018-01-01T00:00:00Z"),
    "state": ("", "", "active", "suspended", "removed", "Removed ", "gone"),
    "from": ("2018-03-01", "", "2018-02-30", "2018-03-01T00:00:00.5Z", "2018/3/1", "0001-01-01"),
    "until": ("", "", "2099-12-31", "2017-01-01", "9999-12-31", "9999-12-31T23:59:59-01:00"),
    "case": (_ID, "", "(2018)京0105执01号", "案" * 129, f"案{number(6)}", "(2018)京执9号"),
    "court": ("北京市朝阳区人民法院", "", "院" * 65, number(9), " "),
    "modes": ("", "", "air|rail", "bus", "air|" * 30_000),
    "lifts": ("", "", "sx|xgl", "nolist", "sx|" * 30_000),
    "cases": ("", "", _ID, "x" * 129, f"案{number(10)}", "案号|" * 30_000),
    "kind": ("", "", "mistaken_identity", "twin"),
    "decided_at": ("", "", "2018-01-02", "yesterday"),
    "reason": ("", "", "performed", "dispute", "paid at last"),
}  # fmt: skip
_FEEDS: dict[str, tuple[object, ...]] = {
    "id": (7, "7", None, ""), "iname": NAMES, "caseCode": (_ID, ""), "XM": NAMES, "AH": (_ID,),
    "cardNum": (number(0), "1101051849****002X", "SYN0000007", "12345678-9", 5, None),
    "ZJHM": (number(1), "G12345678", "", None), "ZJLXMC": ("居民身份证", "护照", "军官证", "x"),
    "BZXRLXMC": ("自然人", "法人"), "BZXRMC": NAMES, "ID": ("9", 9, None), "sex": ("男",),
    "partyTypeName": ("580", "581", "0"), "businessEntity": ("", "某公司"), "ZXFYMC": ("男",),
    "publishDate": ("2018年3月1日", 1519833600000, "二〇一八年三月一日", {"time": 15}, "0"),
    "CXSJ": (None, "2019-01-01", "Fri Mar 01 00:00:00 CST 2019"), "PBSJ": (None, "2019-01-01"),
    "FBSJ": ("2018-01-01", None, "9" * 13, [1]), "JZSJ": (None, "99991231"), "LASTUPDATE": ("x",),
    "CXYYMC": ("履行完毕", 5), "lastmod": ("2018-01-01T00:00:00+99:99", True), "loc": ("?id=5",),
    "jsonObject": ('{"iname": "张某某"}', "{", "5"), "result": ([], [{}], 5), "data": ([[]], None),
}  # fmt: skip
_USUAL = ("list", "entry_id", "document_type", "document_number", "document_issuer", "name",
          "revision", "state", "from", "until", "case", "court")  # fmt: skip
_BYTES = st.sampled_from(
    [b",", b'"', b"\n", b"\r", b"\r\n", b"\0", b"\xff", b"\xe5\xbc", b"{", b"}", b"[", b"]", b":",
     b"\\u0000", b"\\ud800", b"null", b"NaN", b"1e999", b"\xef\xbb\xbf", b"\xff\xfe", b"PK\x03\x04",
     b"PAR1", b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"|", "张".encode(), "张".encode("gb18030"),
     b"a" * 70_000, b",,,,,,,,,,,,,,,,,,,,,", b"\xe2\x80\xa8", b"\x85"]
)  # fmt: skip


class File(NamedTuple):
    """A file to be read; `rows` is how many it has, where no byte of it was touched."""

    name: str
    data: bytes
    options: SourceOptions
    rows: int | None

    def __repr__(self) -> str:
        """Short, so that a failure can be read."""
        return f"File({self.name!r}, {self.data[:3000]!r}, {self.options}, {self.rows})"


odd_texts = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\n\r\0"), max_size=12
)


@st.composite
def list_rows(draw: st.DrawFn) -> list[dict[str, str]]:
    """Rows that are good but for some cells."""
    rows = []
    for _ in range(draw(st.integers(0, 6))):
        row = {name: _CELLS[name][0] for name in _USUAL}
        row["document_number"] = number(draw(st.integers(0, 29)))
        for name in draw(st.lists(st.sampled_from(COLUMNS), max_size=3)):
            row[name] = draw(st.sampled_from(_CELLS[name]))
        if draw(st.integers(0, 9)) == 0:
            row[draw(st.sampled_from(COLUMNS))] = draw(odd_texts)
        rows.append(row)
    return rows


@st.composite
def columns(draw: st.DrawFn, rows: Sequence[dict[str, str]]) -> list[str]:
    """The columns of a file: those that its rows fill, at times in another order or not all."""
    filled = {name for row in rows for name in row}
    names = [name for name in COLUMNS if name in filled or name in _USUAL]
    match draw(st.integers(0, 19)):
        case 0:
            return draw(st.permutations(names))
        case 1:
            names.remove(draw(st.sampled_from(names)))
        case 2:
            names.append(draw(st.sampled_from((*COLUMNS, "untill", number(1), NAMES[0]))))
    return names


@st.composite
def feeds(draw: st.DrawFn) -> tuple[str, bytes]:
    """Records as the courts' sites give them."""
    one = st.fixed_dictionaries(
        {}, optional={name: st.sampled_from(values) for name, values in _FEEDS.items()}
    )
    records = draw(st.lists(one, max_size=4))
    form = draw(st.sampled_from(("lines", "array", "page")))
    if form == "lines":
        return "feed.jsonl", b"".join(json.dumps(each).encode() + b"\n" for each in records)
    return "feed.json", json.dumps(records if form == "array" else {"result": records}).encode()


def csv_file(rows: Sequence[dict[str, str]], names: Sequence[str]) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([[row.get(name, "") for name in names] for row in rows])
    return out.getvalue().encode()


def json_file(rows: Sequence[dict[str, str]]) -> bytes:
    return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)


def parquet_file(rows: Sequence[dict[str, str]], names: Sequence[str]) -> bytes:
    import pyarrow as pa
    from pyarrow import parquet

    out = io.BytesIO()
    arrays = [pa.array([row.get(name) for row in rows], pa.string()) for name in names]
    parquet.write_table(pa.Table.from_arrays(arrays, names=list(names)), out)
    return out.getvalue()


@st.composite
def mutated(draw: st.DrawFn, data: bytes) -> bytes:
    """Some bytes added, left out, turned, repeated or cut off."""
    out = bytearray(data)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, max(0, len(out) - 1)))
        match draw(st.integers(0, 4)):
            case 0:
                out[at:at] = draw(_BYTES)
            case 1:
                del out[at : at + draw(st.integers(1, 40))]
            case 2 if out:
                out[at] ^= 1 << draw(st.integers(0, 7))
            case 3:
                out[at:at] = out[at : at + draw(st.integers(1, 200))]
            case 4:
                del out[at:]
    return bytes(out)


_PACK: dict[str, Any] = {
    "": lambda _, data: data,
    ".gz": lambda _, data: gzip.compress(data, 1, mtime=0),
    ".zst": lambda _, data: zst(data),
    ".zip": lambda name, data: zipped((name, data)),
}


@st.composite
def files(draw: st.DrawFn) -> File:
    """A file of any format, mostly mutated."""
    form = draw(st.sampled_from(("csv", "csv", "csv", "jsonl", "jsonl", "parquet", "feed")))
    options = SourceOptions(
        encoding=draw(st.sampled_from(("utf-8", "utf-8", "utf-8", "gb18030"))),
        listed=draw(st.booleans()),
    )
    count = None
    if form == "feed":
        name, data = draw(feeds())
        dialects: list[Literal["zxgk", "xycj", "auto"]] = ["zxgk", "xycj", "auto"]
        dialect = draw(st.sampled_from(dialects))
        options = SourceOptions(options.encoding, dialect, options.listed)
    else:
        rows = draw(list_rows())
        count = len(rows) if options.encoding == "utf-8" else None
        names = draw(columns(rows))
        name = f"list.{form}"
        if form == "jsonl":
            data = json_file(rows)
        else:
            data = (csv_file if form == "csv" else parquet_file)(rows, names)
    if draw(st.integers(0, 2)) > 0:
        data, count = draw(mutated(data)), None
    if form != "parquet":
        suffix = draw(st.sampled_from(("", "", *_PACK)))
        data, name = _PACK[suffix](name, data), name + suffix
        if suffix and draw(st.integers(0, 3)) == 0:
            data, count = draw(mutated(data)), None
    if draw(st.integers(0, 9)) == 0:
        name = draw(st.sampled_from(("list", "list.csv", "list.json", "list.gz", "a.parquet")))
        count = None
    return File(name, data, options, count)
