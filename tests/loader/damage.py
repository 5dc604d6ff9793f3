"""Damaged list files, each with what has to become of it: known from how it was made.

Nothing here asks the loader. Every file is of people who are on the roster, and the same
for every run: what is by lot is by a seed of the file's own.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import random
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import product

import zstandard
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.loader.loads import number

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
STRANGER = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
PEOPLE = 240
"""Numbers of people on the roster: 0 to 239, one entry each."""
AS_OF = "2020-06-01"
FIRST_REVISION = 1_500_000_000_000
LONG_BYTES = 10 << 20
COLUMNS = (
    "list", "entry_id", "document_type", "document_number", "document_issuer", "name",
    "revision", "state", "from", "until", "case", "court",
)  # fmt: skip

Cells = dict[str, str]
Reject = tuple[int, str, str]
"""Line, field, reason."""
Named = tuple[str, bytes]
"""How a file ends, and what is in it."""


@dataclass(frozen=True)
class Damaged:
    """A file, how it is loaded, and what has to become of it.

    `refused` is what the reason says; without it the rows of `loaded` are as they say
    afterwards, and `rejects`, `skipped`, `warned` account for all others.
    """

    name: str
    make: Callable[[], Named]
    refused: str = ""
    rejects: tuple[Reject, ...] = ()
    skipped: dict[str, int] = field(default_factory=dict)
    warned: int = 0
    loaded: tuple[Cells, ...] = ()
    rows: int = 0
    beside: Callable[[bytes], dict[str, bytes]] = lambda _: {}
    lists: tuple[str, ...] = ()
    encoding: str = "utf-8"
    whole: bool = False
    as_of: str | None = AS_OF
    signed: bool = False


def person(n: int, revision: int = FIRST_REVISION, **cells: str) -> Cells:
    """The nth person's row."""
    case = f"(2018)京0105执{n + 1}号"
    usual = dict.fromkeys(COLUMNS, "") | {
        "list": "sx", "entry_id": f"{case}/1", "document_type": "resident_id",
        "document_number": number(n), "name": "张某某", "revision": str(revision),
        "from": "2018-03-01", "case": case, "court": "北京市朝阳区人民法院",
    }  # fmt: skip
    return usual | cells


# A good file in every form and package.


def csv_lines(rows: Iterable[Cells], columns: Iterable[str] = COLUMNS) -> list[bytes]:
    names = tuple(columns)
    return [",".join(names).encode(), *(",".join(row[c] for c in names).encode() for row in rows)]


def json_lines(rows: Iterable[Cells]) -> list[bytes]:
    return [
        json.dumps({c: v for c, v in r.items() if v}, ensure_ascii=False).encode() for r in rows
    ]


def joined(lines: Iterable[bytes]) -> bytes:
    return b"".join(line + b"\n" for line in lines)


def parquet_file(rows: list[Cells], columns: Iterable[str] = COLUMNS) -> bytes:
    """With checksums; a cell that is `null` is null."""
    import pyarrow as pa
    from pyarrow import parquet

    out = io.BytesIO()
    values = [[None if row[c] == "null" else row[c] for row in rows] for c in columns]
    table = pa.Table.from_arrays([pa.array(v, pa.string()) for v in values], names=list(columns))
    parquet.write_table(table, out, write_page_checksum=True, compression="none")
    return out.getvalue()


def zipped(*files: Named) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files:
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def zst(data: bytes) -> bytes:
    return zstandard.ZstdCompressor(write_checksum=True).compress(data)


def packed(how: str, form: str, data: bytes) -> Named:
    """The text of a list of a form in a package, or (nothing) as it is."""
    match how:
        case "gz":
            return f"list.{form}.gz", gzip.compress(data, mtime=0)
        case "zst":
            return f"list.{form}.zst", zst(data)
        case "zip":
            return "list.zip", zipped((f"list.{form}", data))
    return f"list.{form}", data


PACKAGES = ("", "gz", "zst", "zip")


def given(name: str, data: bytes) -> Callable[[], Named]:
    """A file that is made already."""
    return lambda: (name, data)


def list_file(
    form: str, rows: list[Cells], columns: Iterable[str] = COLUMNS
) -> Callable[[], Named]:
    """These rows in a file of that form."""
    if form == "parquet":
        return lambda: ("list.parquet", parquet_file(rows, columns))
    lines = csv_lines(rows, columns) if form == "csv" else json_lines(rows)
    return given(f"list.{form}", joined(lines))


# Rows that cannot be used, whatever the format: what is in which cell, and which is to blame.

FAULTS: dict[str, tuple[Cells, str, str]] = {
    "masked": ({"document_number": "110105********002X"}, "document_number", "masked_number"),
    "masked by x": ({"document_number": "1101051849xxxx0020"}, "document_number", "masked_number"),
    "no number": ({"document_number": ""}, "document_number", "missing_number"),
    "library card": ({"document_type": "library_card"}, "document_type", "unknown_type"),
    "no type": ({"document_type": ""}, "document_type", "unknown_type"),
    "no issuer": ({"document_type": "passport"}, "document_issuer", "missing_issuer"),
    "30 February": ({"from": "2018-02-30"}, "from", "bad_date"),
    "no offset": ({"until": "2030-01-01T00:00:00"}, "until", "bad_date"),
    "ends first": ({"until": "2017-01-01"}, "until", "bad_date"),
    "word": ({"revision": "yesterday"}, "revision", "bad_revision"),
    "in 2200": ({"revision": "7258118400000"}, "revision", "bad_revision"),
    "negative": ({"revision": "-1"}, "revision", "bad_revision"),
    "number as case": ({"case": f"案{number(7)}"}, "case", "number_in_text"),
    "number in name": ({"name": f"张某某{number(7)}"}, "name", "number_in_text"),
    "long number": ({"document_number": "1" * 65}, "document_number", "too_long"),
    "long case": ({"case": "案" * 129}, "case", "too_long"),
    "long court": ({"court": "院" * 65}, "court", "too_long"),
    "five names": ({"name": "a|b|c|d|e"}, "name", "too_long"),
    "no entry id": ({"entry_id": ""}, "entry_id", "malformed"),
    "spreadsheet": ({"document_number": "1.10105E+17"}, "document_number", "malformed"),
    "state": ({"state": "gone"}, "state", "malformed"),
    "a comment": ({"document_number": f"{number(7)}(本人)"}, "document_number", "malformed"),
    "a digit less": ({"document_number": number(7)[:17]}, "document_number", "malformed"),
    "hash": ({"document_number": "d41d8cd98f00b204e9800998ecf8427e"}, "document_number",
             "malformed"),
    "placeholder": ({"document_number": "NULL"}, "document_number", "malformed"),
    "none": ({"document_number": "无"}, "document_number", "malformed"),
    "blots": ({"document_number": "110105????????0011"}, "document_number", "masked_number"),
    "a great float": ({"document_number": f"{number(7)}.0"}, "document_number", "malformed"),
    "7 digits": ({"document_type": "taiwan_permit", "document_number": "1234321"},
                 "document_number", "malformed"),
    "in seconds": ({"revision": "1700000000"}, "revision", "bad_revision"),
}  # fmt: skip

# Lines that are no row: each is malformed as a whole.

CSV_LINES: dict[str, Callable[[bytes], bytes]] = {
    "a cell more": lambda line: line + b",x",
    "two cells less": lambda line: line.rsplit(b",", 2)[0],
    "one cell": lambda line: line.replace(b",", b";"),
    "NUL": lambda line: line[:20] + b"\0" + line[21:],
    "NULs at the end": lambda line: line + bytes(512),
    "other encoding": lambda line: line.decode().encode("gb18030"),
    "Big5": lambda line: line.replace("张某某".encode(), "張某某".encode("big5")),
    "byte": lambda line: line + b"\xff",
    "cut character": lambda line: line[:-1],
    "stray quote": lambda line: line.replace(b",", b',"', 1),
    "text after quote": lambda line: b'"sx"x' + line[2:],
    "carriage return": lambda line: line.replace(b",", b"\r,", 2),
    "10 MB": lambda line: line + b"x" * LONG_BYTES,
    "10 MB quoted": lambda line: line + b'"' + b"x" * LONG_BYTES,
}
JSON_LINES: dict[str, Callable[[bytes], bytes]] = {
    "cut": lambda line: line[: len(line) // 2],
    "unknown field": lambda line: b'{"untill":"2030-01-01",' + line[1:],
    "object in a cell": lambda line: b'{"court":{"name":"x"},' + line[1:],
    "escaped NUL": lambda line: line.replace(b'"sx"', b'"sx\\u0000"'),
    "NUL": lambda line: line.replace(b'"sx"', b'"s\0x"'),
    "other encoding": lambda line: line.decode().encode("gb18030"),
    "two in a line": lambda line: line + line,
    "trailing comma": lambda line: line[:-1] + b",}",
    "single quotes": lambda line: line.replace(b'"', b"'"),
    "an array": lambda line: b"[" + line + b"]",
    "a number": lambda _: b"110105",
    "null": lambda _: b"null",
    "half a surrogate": lambda line: line.replace(b'"sx"', b'"\\ud800"'),
    "10 MB": lambda line: line[:-1] + b',"reason":"' + b"x" * LONG_BYTES + b'"}',
}


class Lot:
    """What is left to chance in one file."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.revision = FIRST_REVISION + 10 * seed + 1

    def people(self, count: int) -> list[Cells]:
        """Newer rows of some people, not all alike."""
        chosen = self.random.sample(range(PEOPLE), count)
        ends = [self.random.choice(("", "2099-12-31", "2098-01-01")) for _ in chosen]
        return [person(n, self.revision, until=end) for n, end in zip(chosen, ends, strict=True)]

    def some(self, count: int, most: int) -> list[int]:
        """Some places of a list of that length."""
        return sorted(self.random.sample(range(count), self.random.randint(1, most)))


def bad_cells(name: str, how: str, form: str, seed: int) -> Damaged:
    """Some rows have a cell that cannot be; the others are good."""
    lot = Lot(seed)
    rows = lot.people(12)
    first = 2 if form == "csv" else 1
    rejects, bad = [], set(lot.some(len(rows), 6))
    for index in sorted(bad):
        cells, blamed, reason = FAULTS[lot.random.choice(sorted(FAULTS))]
        rows[index] = rows[index] | cells
        rejects.append((index + first, blamed, reason))
    good = tuple(row for index, row in enumerate(rows) if index not in bad)
    lines = csv_lines(rows) if form == "csv" else json_lines(rows)
    file = given(*packed(how, form, joined(lines)))
    if form == "parquet":
        file = list_file(form, rows)
    return Damaged(name, file, rejects=tuple(rejects), loaded=good, rows=12)


def bad_line(name: str, how: str, form: str, fault: str, seed: int) -> Damaged:
    """One line is no row; the others are good."""
    lot = Lot(seed)
    rows = lot.people(12)
    bad = lot.random.randrange(12)
    first, faults = (2, CSV_LINES) if form == "csv" else (1, JSON_LINES)

    def make() -> Named:
        lines = csv_lines(rows) if form == "csv" else json_lines(rows)
        index = bad + first - 1
        lines[index] = faults[fault](lines[index])
        return packed(how, form, joined(lines))

    good = tuple(row for index, row in enumerate(rows) if index != bad)
    return Damaged(name, make, rejects=((bad + first, "", "malformed"),), loaded=good, rows=12)


def rows_spoiled() -> Iterator[Damaged]:
    seed = 0
    for how in PACKAGES:
        for form in ("csv", "jsonl"):
            for _ in range(4):
                seed += 1
                yield bad_cells(f"cells-{form}-{how or 'plain'}-{seed}", how, form, seed)
    for _ in range(6):
        seed += 1
        yield bad_cells(f"cells-parquet-{seed}", "", "parquet", seed)
    for form, faults in (("csv", CSV_LINES), ("jsonl", JSON_LINES)):
        for index, fault in enumerate(faults):
            seed += 1
            how = PACKAGES[index % 4]
            yield bad_line(f"line-{form}-{how or 'plain'}-{fault}", how, form, fault, seed)


# The package is damaged: cut, or a bit is turned where a checksum sees it.

GONE = "truncated or damaged"


def whole_list(seed: int, form: str = "csv") -> bytes:
    """A good file of everybody that does not compress to nothing."""
    rows = [person(n, Lot(seed).revision) for n in range(PEOPLE)]
    return joined(csv_lines(rows) if form == "csv" else json_lines(rows))


def cut(named: Named, lot: Lot) -> Named:
    return named[0], named[1][: lot.random.randrange(5, len(named[1]) - 1)]


def turned(named: Named, lot: Lot, within: range) -> Named:
    """One to fifty bits are turned, within these bytes."""
    data = bytearray(named[1])
    for place in lot.random.sample(within, lot.random.choice((1, 3, 50))):
        data[place] ^= 1 << lot.random.randrange(8)
    return named[0], bytes(data)


def inside(how: str, size: int) -> range:
    """The bytes of a package that hold the list: behind headers, before padding and the end.

    What a reader may well leave unread, such as a time or a name, is not among them.
    """
    head, tail = {"gz": (10, 9), "zst": (12, 5), "zip": (38, 80), "parquet": (4, 0)}[how]
    return range(head, size - tail)


def packages_damaged() -> Iterator[Damaged]:
    for how in ("gz", "zst", "zip"):
        for seed in range(7):
            lot, data = Lot(seed), whole_list(seed, "jsonl" if seed % 3 == 0 else "csv")
            named = packed(how, "jsonl" if seed % 3 == 0 else "csv", data)
            shorter = cut(named, lot)
            yield Damaged(f"cut-{how}-{seed}", given(*shorter), refused=GONE)
            other = turned(named, lot, inside(how, len(named[1])))
            yield Damaged(f"turned-{how}-{seed}", given(*other), refused=GONE)
    for seed in range(5):
        yield Damaged(f"cut-parquet-{seed}", partial(page_cut, seed), refused="Parquet")
        yield Damaged(f"turned-parquet-{seed}", partial(page_turned, seed), refused="Parquet")
    for how, garbage in (("gz", b"\x1f\x8b garbage"), ("zst", b"garbage"), ("zip", b"garbage")):
        named = packed(how, "csv", whole_list(1))
        first = {"gz": garbage, "zst": garbage * 9, "zip": named[1][:-22] + garbage * 3}[how]
        yield Damaged(f"garbage-{how}", given(named[0], first), refused=GONE)


def parquet_list() -> Named:
    return "list.parquet", parquet_file([person(n) for n in range(PEOPLE)])


def page_cut(seed: int) -> Named:
    return cut(parquet_list(), Lot(seed))


def page_turned(seed: int) -> Named:
    """Bits are turned in one page's data, of which the file has a checksum."""
    import pyarrow as pa
    from pyarrow import parquet

    name, data = parquet_list()
    chunk = parquet.ParquetFile(pa.BufferReader(data)).metadata.row_group(0).column(3)
    end = chunk.data_page_offset + 60 if chunk.dictionary_page_offset is None else 0
    first = end or chunk.dictionary_page_offset + 60  # a page's header is shorter
    return turned((name, data), Lot(seed), range(first, first + 1_000))


# What the file as a whole says is not so.


def headers() -> Iterator[Damaged]:
    rows = [person(n, Lot(400).revision) for n in range(20)]
    required = ("list", "entry_id", "document_type", "document_number")
    for name in required:
        columns = tuple(c for c in COLUMNS if c != name)
        said = f"lacks {name}"
        for form in ("csv", "parquet"):
            yield Damaged(f"{form}-without-{name}", list_file(form, rows, columns), refused=said)
    for wrong, said in (
        ("untill", "has unknown untill"), ("until", "repeats until"), ("", "unknown .unprintable."),
        (number(3), "unknown .unprintable."), ("张某某", "unknown .unprintable."),
    ):  # fmt: skip
        lines = csv_lines(rows)
        lines = [lines[0] + b"," + wrong.encode(), *(line + b"," for line in lines[1:])]
        yield Damaged(f"header-{said}-{len(wrong)}", given("list.csv", joined(lines)), refused=said)
    body = csv_lines(rows)[1:]
    yield Damaged(
        "no-header", lambda: packed("gz", "csv", joined(body)), refused="the header lacks"
    )
    yield Damaged("semicolons", lambda: ("list.csv", joined(csv_lines(rows)).replace(b",", b";")),
                  refused="the header lacks")  # fmt: skip
    yield Damaged("header-quoted", lambda: ("list.csv", b'"' + joined(csv_lines(rows))),
                  refused="the header cannot be read")  # fmt: skip
    yield from reordered(rows)


def reordered(rows: list[Cells]) -> Iterator[Damaged]:
    """Columns in any order are the same list; cells of two columns exchanged are not."""
    for seed in range(3):
        columns = list(COLUMNS)
        Lot(seed).random.shuffle(columns)
        for form in ("csv", "parquet"):
            yield Damaged(f"reordered-{form}-{seed}", list_file(form, rows, tuple(columns)),
                          loaded=tuple(rows), rows=20)  # fmt: skip
    for one, other, blamed in (
        ("document_type", "document_number", ("document_type", "unknown_type")),
        ("from", "case", ("from", "bad_date")),
        ("revision", "court", ("revision", "bad_revision")),
    ):
        swapped = [row | {one: row[other], other: row[one]} for row in rows]
        rejects = tuple((line, *blamed) for line in range(2, 12))
        half = [*swapped[:10], *rows[10:]]
        yield Damaged(f"exchanged-{one}", list_file("csv", half), rejects=rejects, rows=20,
                      loaded=tuple(rows[10:]))  # fmt: skip
        yield Damaged(f"exchanged-{one}-in-all", list_file("csv", swapped),
                      refused="20 of 20 rows are rejected")  # fmt: skip


def encodings() -> Iterator[Damaged]:
    rows = Lot(500).people(12)
    text = joined(csv_lines(rows)).decode()
    for name in ("utf-16", "utf-16-be"):
        data = ("\ufeff" if name.endswith("be") else "") + text
        yield Damaged(f"encoded-{name}", given("list.csv", data.encode(name)), refused="UTF-16")
    yield Damaged("encoded-gb18030", lambda: ("list.csv", text.encode("gb18030")),
                  refused="12 of 12 rows are rejected.*--encoding gb18030")  # fmt: skip
    yield Damaged("encoded-gb18030-told", lambda: packed("zst", "csv", text.encode("gb18030")),
                  loaded=tuple(rows), rows=12, encoding="gb18030")  # fmt: skip
    yield Damaged("encoded-unknown", lambda: ("list.csv", text.encode()),
                  refused="utf-8 or gb18030", encoding="latin-1")  # fmt: skip
    lines = csv_lines(rows)
    mixed = [x.decode().encode("gb18030") if i % 3 == 2 else x for i, x in enumerate(lines)]
    bad = tuple((i + 1, "", "malformed") for i in range(1, 13) if i % 3 == 2)
    good = tuple(row for i, row in enumerate(rows, 1) if i % 3 != 2)
    yield Damaged("encoded-mixed", lambda: packed("gz", "csv", joined(mixed)),
                  rejects=bad, loaded=good, rows=12)  # fmt: skip


def bombs() -> Iterator[Damaged]:
    head = joined(csv_lines([person(1)]))
    size = 96 << 20
    grows = "grows more than"
    yield Damaged("bomb-gz", lambda: packed("gz", "csv", head + bytes(size)), refused=grows)
    yield Damaged("bomb-gz-lines", lambda: packed("gz", "csv", head + b"\n" * size), refused=grows)
    yield Damaged("bomb-zst", lambda: packed("zst", "csv", head + bytes(size)), refused=grows)
    yield Damaged("bomb-zip", lambda: packed("zip", "csv", head + bytes(size)), refused=grows)
    member = gzip.compress(bytes(8 << 20), mtime=0)
    yield Damaged("bomb-gz-members",
                  lambda: ("list.csv.gz", gzip.compress(head, mtime=0) + member * 12),
                  refused=grows)  # fmt: skip
    yield Damaged("bomb-zst-frames",
                  lambda: ("list.csv.zst", zst(head) + zst(bytes(8 << 20)) * 12),
                  refused=grows)  # fmt: skip
    yield Damaged("bomb-jsonl", lambda: packed("zst", "jsonl", b'{"list":"' + bytes(size)),
                  refused=grows)  # fmt: skip


def zips() -> Iterator[Damaged]:
    data = whole_list(3)
    one = zipped(("list.csv", data))
    encrypted = bytearray(one)
    for place in (6, one.rindex(b"PK\x01\x02") + 8):  # flags, in both headers
        encrypted[place] |= 1
    strange = bytearray(one)
    for place in (8, one.rindex(b"PK\x01\x02") + 10):  # the method of compression
        strange[place] = 97
    smaller = bytearray(one)
    smaller[(at := one.rindex(b"PK\x01\x02") + 24) : at + 4] = (99).to_bytes(4, "little")
    made: dict[str, tuple[bytes, str]] = {
        "two": (zipped(("a.csv", data), ("b.csv", data)), "holds 2 files"),
        "none": (zipped(), "holds 0 files"),
        "folder": (zipped(("folder/", b"")), "holds 0 files"),
        "encrypted": (bytes(encrypted), "encrypted"),
        "strange": (bytes(strange), "rare way"),
        "lying": (bytes(smaller), GONE),
    }
    for name, (archive, said) in made.items():
        yield Damaged(f"zip-{name}", given("list.zip", archive), refused=said)


def empties() -> Iterator[Damaged]:
    contents = {
        "nothing": b"",
        "bom": b"\xef\xbb\xbf",
        "blank": b"\n\n \n",
        "header": joined(csv_lines([])),
        "rows of nothing": joined([b",".join([b""] * 12)]),
    }
    nothing = r"no row of sx can be loaded \(0 rows in all"
    for name, data in contents.items():
        for how in PACKAGES:
            said = "the header lacks" if name == "rows of nothing" else nothing
            yield Damaged(f"empty-{name}-{how or 'plain'}", given(*packed(how, "csv", data)),
                          refused=said, whole=True)  # fmt: skip
    yield Damaged("empty-named", lambda: ("list.csv", contents["header"]), whole=True,
                  lists=("sx",), refused=r"no row of sx can be loaded \(0 rows in all")  # fmt: skip
    yield Damaged("empty-jsonl", lambda: ("list.jsonl", b"\n"), refused=nothing, whole=True)
    yield Damaged("empty-parquet", lambda: ("list.parquet", parquet_file([])),
                  refused=nothing, whole=True)  # fmt: skip
    for suffix in ("csv.gz", "csv.zst", "zip"):
        yield Damaged(f"empty-file-{suffix}", given(f"list.{suffix}", b""),
                      refused=GONE, whole=True)  # fmt: skip
    yield Damaged("empty-file-parquet", lambda: ("list.parquet", b""), refused="Parquet")
    bad = [person(n) | {"document_number": ""} for n in range(30)]
    yield Damaged("empty-of-good-rows", lambda: packed("gz", "csv", joined(csv_lines(bad))),
                  whole=True, lists=("sx",), refused="30 of 30 rows are rejected")  # fmt: skip


def doubled() -> Iterator[Damaged]:
    """Rows about one entry: the higher revision wins, with equal ones the removal."""
    for seed, (form, name) in enumerate(product(("csv", "jsonl", "parquet"), DOUBLED), 900):
        rows = Lot(seed).people(10)
        all_of_them, kept = DOUBLED[name](rows)
        yield Damaged(f"doubled-{form}-{name}", list_file(form, all_of_them), loaded=tuple(kept),
                      rows=len(all_of_them),
                      skipped={"duplicate_in_file": len(all_of_them) - len(kept)})  # fmt: skip


def with_later(rows: list[Cells]) -> Cells:
    """The first row as it is edited a moment later."""
    return rows[0] | {"revision": str(int(rows[0]["revision"]) + 1), "until": "2097-01-01"}


DOUBLED: dict[str, Callable[[list[Cells]], tuple[list[Cells], list[Cells]]]] = {
    "same": lambda rows: ([*rows, rows[0]], rows),
    "newer": lambda rows: ([*rows, with_later(rows)], [with_later(rows), *rows[1:]]),
    "newer first": lambda rows: ([with_later(rows), *rows], [with_later(rows), *rows[1:]]),
    "removed too": lambda rows: (
        [*rows, rows[0] | {"state": "removed"}], [rows[0] | {"state": "removed"}, *rows[1:]]
    ),
    "all twice": lambda rows: (rows * 2, rows),
}  # fmt: skip
"""What is given of some rows, and what has to become of it."""


def guards() -> Iterator[Damaged]:
    """Whole files that would do too much."""
    everybody = [person(n) for n in range(PEOPLE)]
    bad = [row | {"until": "?"} if n < 101 else row for n, row in enumerate(everybody)]

    def file(rows: list[Cells], how: str = "gz") -> Callable[[], Named]:
        return lambda: packed(how, "csv", joined(csv_lines(rows)))

    yield Damaged("guard-rejects", file(bad), whole=True, refused="101 of 240 rows are rejected")
    yield Damaged("guard-removals", file(everybody[:139], "zst"), whole=True,
                  refused="101 of 240 entries would end")  # fmt: skip
    more = [*everybody, *(person(n) for n in range(PEOPLE, PEOPLE + 101))]
    yield Damaged("guard-additions", file(more), whole=True,
                  refused="101 entries would be added to 240")  # fmt: skip
    other = [row | {"list": "xgl"} for row in everybody]
    yield Damaged("guard-other-list", file(other), whole=True, lists=("sx",),
                  refused=r"not for: xgl \(240 rows\)")  # fmt: skip
    none = [row | {"list": "nolist"} for row in everybody]
    yield Damaged("guard-unknown-list", file(none), whole=True,
                  refused=r"not in lists.toml: nolist \(240 rows\)")  # fmt: skip
    yield Damaged("guard-own-list", file(everybody), whole=True, lists=("canary",),
                  refused="only changed over HTTP: canary")  # fmt: skip
    yield Damaged("guard-future", file(everybody), whole=True, as_of="2199-01-01",
                  refused="lies in the future")  # fmt: skip
    yield Damaged("guard-old", file(everybody), whole=True, as_of="2019-01-01",
                  refused="older than the last load begun")  # fmt: skip
    yield Damaged("guard-no-as-of", file(everybody), whole=True, as_of=None,
                  refused="needs --as-of")  # fmt: skip
    text = joined(csv_lines(everybody))
    short = text[: text.index(person(100)["entry_id"].encode())]
    yield Damaged("guard-cut", lambda: ("list.csv", short), whole=True,
                  refused="of 240 entries would end")  # fmt: skip


def whole_with_bad_rows() -> Iterator[Damaged]:
    """A rejected row of a full snapshot still counts as present."""
    for seed, form in enumerate(("csv", "jsonl"), 700):
        lot = Lot(seed)
        rows = [person(n, lot.revision) for n in range(PEOPLE)]
        lot.random.shuffle(rows)
        first = 2 if form == "csv" else 1
        bad = set(lot.some(PEOPLE, 60))
        legible = sorted(name for name in FAULTS if name != "no entry id")
        rejects = []
        for index in sorted(bad):
            cells, blamed, reason = FAULTS[lot.random.choice(legible)]
            rows[index] = rows[index] | cells
            rejects.append((index + first, blamed, reason))
        lines = csv_lines(rows) if form == "csv" else json_lines(rows)
        good = tuple(row for index, row in enumerate(rows) if index not in bad)
        yield Damaged(f"whole-{form}", given(*packed("zst", form, joined(lines))),
                      rejects=tuple(rejects), loaded=good, rows=PEOPLE, whole=True)  # fmt: skip


# What is stated beside the file.


def truth(data: bytes, **other: object) -> dict[str, object]:
    sha256 = hashlib.sha256(data).hexdigest()
    stated: dict[str, object] = {"as_of": AS_OF, "lists": ["sx"], "rows": PEOPLE, "sha256": sha256}
    return stated | other


def manifest(data: bytes, key: Ed25519PrivateKey | None = None) -> dict[str, bytes]:
    beside = {".manifest.json": data}
    return beside | {".manifest.json.sig": key.sign(data)} if key else beside


def beside_it(stated: bytes) -> Callable[[bytes], dict[str, bytes]]:
    """A manifest that says so, whatever the file is."""
    return lambda _: manifest(stated)


def manifests() -> Iterator[Damaged]:
    wrong: dict[str, tuple[dict[str, object], str]] = {
        "rows": ({"rows": PEOPLE + 1}, "has 240 rows, the manifest states 241"),
        "no rows": ({"rows": 0}, "has 240 rows, the manifest states 0"),
        "sha256": ({"sha256": "0" * 64}, "the manifest states 0000"),
        "short sha256": ({"sha256": "0" * 63}, "is no manifest"),
        "list": ({"lists": ["xgl"]}, "not for: sx"),
        "more lists": ({"lists": ["sx", "xgl"]}, "no row of xgl"),
        "unknown list": ({"lists": ["nolist"]}, "not in lists.toml: nolist"),
        "future": ({"as_of": "2199-01-01"}, "disagree"),
        "old": ({"as_of": "2019-01-01"}, "disagree"),
        "no time": ({"as_of": "soon"}, "the manifest's as_of"),
        "digest": ({"digest": "f" * 16}, "the manifest states ffffffffffffffff"),
        "unknown field": ({"size": 5}, "is no manifest"),
        "text for a number": ({"rows": "240"}, "is no manifest"),
    }
    for seed, (name, (other, said)) in enumerate(wrong.items()):
        how = PACKAGES[seed % 4]

        def beside(data: bytes, other: dict[str, object] = other) -> dict[str, bytes]:
            return manifest(json.dumps(truth(data, **other)).encode())

        yield Damaged(f"manifest-{name}", given(*packed(how, "csv", whole_list(8))),
                      refused=said, beside=beside, whole=True)  # fmt: skip
    for name, data in {"cut": b'{"as_of": "2020', "empty": b"", "binary": bytes(range(256)),
                       "long": b" " * (2 << 20)}.items():  # fmt: skip
        said = "longer than 1 MiB" if name == "long" else "is no manifest"
        yield Damaged(f"manifest-{name}", lambda: packed("", "csv", whole_list(8)), refused=said,
                      beside=beside_it(data), whole=True)  # fmt: skip
    for name, shorter in {"row": -120, "line": -1, "byte": -2}.items():
        yield Damaged(f"manifest-of-more-by-a-{name}",
                      given("list.csv", whole_list(8)[:shorter]), refused="its SHA-256 is",
                      beside=beside_it(json.dumps(truth(whole_list(8))).encode()),
                      whole=True)  # fmt: skip


def signatures() -> Iterator[Damaged]:
    def good(data: bytes) -> bytes:
        return json.dumps(truth(data)).encode()

    def turned_bit(data: bytes) -> dict[str, bytes]:
        signature = bytearray(KEY.sign(good(data)))
        signature[20] ^= 4
        return manifest(good(data)) | {".manifest.json.sig": bytes(signature)}

    only, wrong = "only signed files", "not a signature by the key"
    made: dict[str, tuple[Callable[[bytes], dict[str, bytes]], str]] = {
        "nothing": (lambda _: {}, only),
        "no signature": (lambda data: manifest(good(data)), only),
        "stranger": (lambda data: manifest(good(data), STRANGER), wrong),
        "other manifest": (lambda data: manifest(good(data), KEY)
                           | {".manifest.json": good(data) + b" "}, wrong),
        "empty": (lambda data: manifest(good(data)) | {".manifest.json.sig": b""}, wrong),
        "short": (lambda data: manifest(good(data))
                  | {".manifest.json.sig": KEY.sign(good(data))[:63]}, wrong),
        "long": (lambda data: manifest(good(data))
                 | {".manifest.json.sig": KEY.sign(good(data)) + b"\0"}, wrong),
        "hexadecimal": (lambda data: manifest(good(data))
                        | {".manifest.json.sig": KEY.sign(good(data)).hex().encode()}, wrong),
        "stranger in base64": (lambda data: manifest(good(data)) | {
            ".manifest.json.sig": base64.b64encode(STRANGER.sign(good(data)))}, wrong),
        "turned bit": (turned_bit, wrong),
        "other file": (lambda _: manifest(good(whole_list(9)), KEY), "its SHA-256 is"),
        "no sha256": (lambda _: manifest(b'{"as_of":"2020-06-01"}', KEY), "states no sha256"),
        "signed nonsense": (lambda _: manifest(b"nonsense", KEY), "is no manifest"),
        "wrong rows": (lambda data: manifest(json.dumps(truth(data, rows=7)).encode(), KEY),
                       "has 240 rows, the manifest states 7"),
    }  # fmt: skip
    for name, (beside, said) in made.items():
        yield Damaged(f"signature-{name}", lambda: packed("gz", "csv", whole_list(8)),
                      refused=said, beside=beside, whole=True, signed=True)  # fmt: skip


def remarks() -> Iterator[Damaged]:
    """Rows that are no person's, or whose number is wrong but a number."""
    for seed, form in enumerate(("csv", "jsonl"), 800):
        rows = Lot(seed).people(12)
        more = [
            *rows,
            person(3, document_type="organisation", document_number="91110000MA00000000"),
            person(4, document_type="organisation", document_number="", until="?"),
        ]
        lines = csv_lines(more) if form == "csv" else json_lines(more)
        yield Damaged(f"firms-{form}", given(*packed("zip", form, joined(lines))),
                      loaded=tuple(rows), rows=14, skipped={"organisation": 2})  # fmt: skip
    rows = Lot(810).people(5)
    n = number(PEOPLE + 1)
    digit = "1" if n[-1] != "1" else "2"
    # Newer than the last whole file, which did not have the entry.
    wrong = person(PEOPLE + 1, 1_600_000_000_000, document_number=n[:-1] + digit)
    yield Damaged("check-digit", given("list.csv", joined(csv_lines([*rows, wrong]))),
                  loaded=(*rows, wrong), rows=6, warned=1)  # fmt: skip


def cut_texts() -> Iterator[Damaged]:
    """A text that breaks off costs the row in which it does."""
    rows = Lot(811).people(5)
    broken = joined(csv_lines(rows))[:-2]  # in the last character
    yield Damaged("cut-csv-character", given("list.csv", broken),
                  loaded=tuple(rows[:-1]), rows=5, rejects=((6, "", "malformed"),))  # fmt: skip
    for seed in range(820, 823):
        lot = Lot(seed)
        rows = lot.people(12)
        bad = lot.random.randrange(12)
        lines, jsons = csv_lines(rows), json_lines(rows)
        half = b",".join(lines[bad + 1].split(b",")[: lot.random.randrange(1, 11)])
        yield Damaged(f"cut-csv-{seed}", given("list.csv", b"\n".join([*lines[: bad + 1], half])),
                      loaded=tuple(rows[:bad]), rows=bad + 1,
                      rejects=((bad + 2, "", "malformed"),))  # fmt: skip
        half = jsons[bad][: lot.random.randrange(1, len(jsons[bad]) - 1)]
        file = packed("gz", "jsonl", b"\n".join([*jsons[:bad], half]))
        yield Damaged(f"cut-jsonl-{seed}", given(*file), loaded=tuple(rows[:bad]), rows=bad + 1,
                      rejects=((bad + 1, "", "malformed"),))  # fmt: skip


def all_cases() -> list[Damaged]:
    families = (
        rows_spoiled, packages_damaged, headers, encodings, bombs, zips, empties, guards,
        whole_with_bad_rows, manifests, signatures, remarks, cut_texts, doubled,
    )  # fmt: skip
    return [case for family in families for case in family()]
