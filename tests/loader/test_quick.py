"""Blocks packed column by column, held to the bytes of rows packed one by one."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from loader.blocks import csv_columns, csv_rows
from loader.layout import COLUMNS, Block, Layout, Torn
from loader.packing import Context, Packer
from loader.quick import Quick
from loader.rows import Reader, Row
from roster.times import parse_time
from tests.loader.loads import HEADER, ID_KEY, number, row

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loader.pieces import Bools
    from loader.table import Packed

HEAD = HEADER.split(",")
NOW_MS = parse_time("2026-11-24")
CONTEXT = Context(bytes.fromhex(ID_KEY), {"sx": 1, "lift": 200}, 1_577_808_000_000, 3, NOW_MS, {})
CASE = "(2018)京0105执1号"

texts = st.sampled_from(
    ["", " ", "sx", "lift", "resident_id", "active", "removed", "suspended", "张某某", "Li, Si",
     "张|李", "2018-03-01", "2018-02-30", "2018-03-01T00:00:00.5Z", "2017-03-01", "1500000000000",
     "-1", "+1", "1_000", "0", "000001", "１５", "١", "9" * 16, "9" * 17, f"{CASE}/1", f"{CASE}/99",
     f"{CASE}/100", f"{CASE}/0", f"{CASE}/01", f"{CASE}/١", f"{CASE}／1", CASE, "号", "号/1", "1号",
     "（2018）兵执恢9999999号", "（2018）兵执恢9999999号/12", "(2018)京0105执10000000号",
     "(2018)京0105执30000号", "(2018)京0105执01号/1", "/5", "2018-7", "x" * 63, "x" * 64, "x" * 65,
     "x" * 128, "x" * 129, "朝阳法院", "\ud800", "\0", "a\0", "\ufeff", "é", "\U00020000", "丁",
     f"\u200b{CASE}/1", f"{CASE}/1\xa0", "sx\u3000", f"{CASE}\ufeff", "e1\u2060",
     "无", "未知", "张三先生", "⻢三", "NULL", "张?",
     "一龥", "龦", "张某某某某", "张某某某某某", "张某某\t", "张 某", "〇", "中" * 17, "中" * 99,
     number(1), number(2).lower(), "91010519491231002X", "11010518490230002X", number(1) + " ",
     number(1)[:-1], number(1) + "/1", "passport", "other", "organisation", "E12345678", "CHN"]
)  # fmt: skip


@st.composite
def lines(draw: st.DrawFn, names: Sequence[str] = HEAD) -> list[str]:
    """An ordinary row, mostly; any cell may be something else."""
    plain = next(csv.reader([row(draw(st.integers(0, 999)), draw(st.integers(1, 40_000)))]))
    usual = dict(zip(HEAD, plain, strict=True))
    cells = [usual.get(name, "") for name in names]
    if draw(st.booleans()):
        cells[names.index("state")] = draw(st.sampled_from(["active", "suspended", "removed"]))
    for _ in range(draw(st.integers(0, 3))):
        cells[draw(st.integers(0, len(cells) - 1))] = draw(st.one_of(texts, st.text(max_size=20)))
    return cells[: draw(st.sampled_from([len(cells)] * 9 + [3]))]


def hold(found: tuple[Packed, Bools], rows: Sequence[list[str]], reader: Reader) -> None:
    """The rows that are not odd have the bytes that the long way gives them."""
    (packed, odd), packer = found, Packer(CONTEXT)
    table, at = packed.table(), 0
    for index, size in enumerate(table.sizes.tolist()):
        rest, at = table.rests[at : at + size], at + size
        if not odd[index]:
            read = reader.read(1, rows[index])
            assert isinstance(read, Row)
            assert read.valid
            token_, row_ = packer.pack(read)
            assert packed.partitions[index] == token_[1]
            assert table.fixed[index].tobytes() + rest == row_
    assert at == len(table.rests)


@pytest.mark.parametrize("names", [HEAD, list(COLUMNS), ["document_number", *HEAD[:3]]])
@pytest.mark.parametrize("default", [None, "sx"])
def test_the_quick_way_gives_the_bytes_of_the_long_way(
    names: list[str], default: str | None
) -> None:
    names = list(dict.fromkeys([*names, "state"]))
    reader = Reader(names, default, NOW_MS)

    @given(st.lists(lines(names), min_size=1, max_size=8))
    @settings(max_examples=150, deadline=None)
    def check(rows: list[list[str]]) -> None:
        quick = Quick(names, default, CONTEXT, Packer(CONTEXT))
        for _ in range(2):  # what it has met before changes nothing
            hold(quick.pack(rows), rows, reader)

    check()


def spelled(cells: list[str]) -> str:
    return ",".join(cell.translate(dict.fromkeys(map(ord, ',"\n\r\0\ud800'))) for cell in cells)


@given(
    st.lists(lines().filter(lambda cells: len(cells) == len(HEAD)), min_size=1, max_size=8),
    st.sampled_from(["utf-8", "gb18030"]),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
)
@example([row(1).split(",")], "utf-8", "\n", False)
@settings(max_examples=300, deadline=None)
def test_a_block_is_packed_as_its_rows_are(
    rows: list[list[str]], encoding: str, newline: str, ended: bool
) -> None:
    layout = Layout("csv", "utf-8" if encoding == "utf-8" else "gb18030", tuple(HEAD))
    text = newline.join(map(spelled, rows)) + (newline if ended else "")
    block = Block(2, text.encode(encoding))
    columns = csv_columns(block, layout)
    assert columns is not None
    read = [cells for _, cells in csv_rows(block, layout)]
    assert read == list(map(columns.row, range(len(columns))))
    quick = Quick(HEAD, None, CONTEXT, Packer(CONTEXT))
    hold(quick.pack_columns(columns), read, Reader(HEAD, None, NOW_MS))


def test_a_torn_row_is_odd_and_its_neighbours_are_not() -> None:
    rows = [row(n).split(",") for n in range(3)]
    rows[1] = Torn(rows[1])
    _, odd = Quick(HEAD, None, CONTEXT, Packer(CONTEXT)).pack(rows)
    assert odd.tolist() == [False, True, False]


@pytest.mark.parametrize(
    "cells",
    [
        {},
        {"state": "removed"},
        {"state": "active"},
        {"until": "2018-03-01"},
        {"name": "欧阳某某"},
        {"name": "阿不都热合曼"},
        {"name": "ZHANG SAN"},
        {"name": "", "court": "", "from": "", "revision": ""},
        {"case": "", "entry_id": "2018-7"},
        {"case": "（2018）兵执恢9999999号", "entry_id": "（2018）兵执恢9999999号/99"},
        {"document_type": "passport", "document_number": "E12345678", "document_issuer": "CHN"},
        {"court": "新疆生产建设兵团第十三师中级人民法院" + "某" * 20},
    ],
)
def test_ordinary_rows_go_the_quick_way(cells: dict[str, str]) -> None:
    names = [*HEAD, "document_issuer"]
    rows = [next(csv.reader([row(n, 1 + n, **cells)])) for n in range(3)]
    rows = [[*cells_, cells.get("document_issuer", "")] for cells_ in rows]
    _, odd = Quick(names, None, CONTEXT, Packer(CONTEXT)).pack(rows)
    assert not odd.any()
