"""Blocks judged column by column, held to what each row comes to when it is read alone."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from loader.columns.cells import SOUND
from loader.columns.sheets import COLUMNS, Block, Layout, Torn, whole
from loader.files.csv_sheets import csv_sheet
from loader.rows.packed_rows import Context, Courts
from loader.rows.packer import BlockPacker
from roster.documents.tokeniser import HASHED, SCHEME
from roster.times import parse_time
from tests.loader.held import hold, judged
from tests.loader.loads import HEADER, ID_KEY, number, row
from tests.loader.one_by_one import Reader
from tests.loader.rowwise import csv_rows

if TYPE_CHECKING:
    from collections.abc import Sequence


HEAD = HEADER.split(",")
NOW_MS = parse_time("2026-11-24")
CONTEXT = Context(bytes.fromhex(ID_KEY), {"sx": 1, "lift": 200}, 1_577_808_000_000, 3, NOW_MS, {})
CASE = "(2018)京0105执1号"
WIDE = {ord("0") + digit: 0xFF10 + digit for digit in range(10)}

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

INSTANTS = (
    "2018-03-01T08:05:00+08:00", "2018-03-01T08:05:00Z", "2018-03-01 08:05:07-11:30",
    "2018-03-01t00:00:00.123z", "2018-03-01T00:00:00.1234567+08:00", "2018-03-01T23:59:60Z",
    "2018-03-01T00:00:00.5Z", "2018-03-01T24:00:00Z", "2018-03-01T00:60:00Z", "2018-03-01T00:00Z",
    "2018-03-01T08:05:00+24:00", "2018-03-01T08:05:00", "2018-03-01T08:05:00.Z", "1969-12-31",
    "2018-03-01T08:05:00.1234567890123Z", "0001-01-01", "0001-01-01T00:00:00+08:00", "9999-12-31",
    "9999-12-31T23:59:59Z", "0000-01-01", "1900-02-29", "2000-02-29", "2018-13-01", "2018-00-10",
    "1970-01-15T00:00:00Z", "1970-01-01T00:00:00.001Z", "２０１８-03-01", " 2018-03-01",
    "3000-01-01", "2018-03-01\u3000", "\xa02018-03-01T08:05:00Z ", "2018-3-1", "1989-12-31",
    "1990-01-01",
)  # fmt: skip
IDS = (
    "1", "0", "01", "123456789", "1234567890123456789", "9999999999999999999", "1" * 20,
    "550e8400-e29b-41d4-a716-446655440000", "550E8400E29B41D4A716446655440000", " 12 ", "\t12",
    f"{CASE}/1/2", f"{CASE}-1", f"{CASE}1", f" {CASE}/1 ", "\u3000号\u3000", "（1）", "、a、", "é",
    f"{number(3)}", f"a{number(4)}b", f"12{number(5)}", "1101 0118 5001 0100 30", "2018-110105-1-1",
    "-".join(number(6)), "- -".join(number(7)), "１" * 18, number(8).translate(WIDE), "中" * 128,
    "中" * 129, "1101051850010100", "1" * 17, "1" * 18, "1" * 64, f"{'7' * 60}{number(9)}",
    "\x1f\u00ad1", "2018-110105-1234-12",
)  # fmt: skip
LIFTED = ("air", "rail|air", "AIR |", "bus", "sx", "sx|xgl", "lift", "|", " ", CASE, f"{CASE}|b",
          "mistaken_identity", "Mistaken_Identity ", "twin", "x|" * 40)  # fmt: skip
WORDS = ("performed", "PERFORMED ", "dispute", "review", "because", "")
DOCUMENTS = (
    "E12345678", "EA1234567", "EI1234567", "145123456", "SYN000001", "K9876543<", "H12345678",
    "H1234567801", "h12345678", "M123", "12345678", "1234567801", "12345678(B)", "1234567",
    number(10), number(11)[:6] + number(11)[8:17], "110105" + "500101" + "997", "nan",
    "9" + number(1)[1:], "ABC110105500101", "军字第1号", "１２", "", "****", "123*5678", "1.1E+17",
    "x" * 65, "E1234567 8",
)  # fmt: skip
OF_COLUMN = {
    "entry_id": IDS, "case": IDS, "revision": ("12", "700000000000", " 1500000000000", "９"),
    **dict.fromkeys(("updated_at", "from", "until", "decided_at"), INSTANTS),
    **dict.fromkeys(("modes", "lifts", "cases", "kind"), LIFTED), "reason": WORDS,
    "document_number": DOCUMENTS, "document_issuer": ("CHN", "HKG", "RUS", "D<<", "", "XYZ"),
    "document_type": ("passport", "hk_macao_permit", "taiwan_permit", "permanent_resident_id",
                      "other", "Resident_ID", "unpublished"),
    "document_kind": ("military", "Seaman ", "x"), "list": ("lift", "sx", " sx", "xgl"),
    "name": ("ZHANG SAN", "张三|ZHANG/SAN", "张三丰 | 张三", "a|b|c|d|e", "张*", "|",
             f"张{number(12)}"),
    "court": ("", " ", "院", "a", "ab", "甲" * 64, "甲" * 65),
    "state": ("removed", "Active", "gone"),
}  # fmt: skip


@st.composite
def lines(draw: st.DrawFn, names: Sequence[str] = HEAD) -> list[str]:
    """An ordinary row, mostly; any cell may be something else."""
    plain = next(csv.reader([row(draw(st.integers(0, 999)), draw(st.integers(1, 40_000)))]))
    usual = dict(zip(HEAD, plain, strict=True))
    cells = [usual.get(name, "") for name in names]
    if draw(st.booleans()):
        cells[names.index("state")] = draw(st.sampled_from(["active", "suspended", "removed"]))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(cells) - 1))
        of_column = st.sampled_from(OF_COLUMN[names[at]])
        cells[at] = draw(st.one_of(of_column, of_column, texts, st.text(max_size=20)))
    return cells[: draw(st.sampled_from([len(cells)] * 9 + [3]))]


@pytest.mark.parametrize("names", [HEAD, list(COLUMNS), ["document_number", *HEAD[:3]]])
@pytest.mark.parametrize("default", [None, "sx"])
def test_rows_by_column_have_the_bytes_or_the_fault_of_each_alone(
    names: list[str], default: str | None
) -> None:
    names = list(dict.fromkeys([*names, "state"]))
    reader = Reader(names, default, NOW_MS)
    context = msgspec.structs.replace(CONTEXT, scheme=HASHED if default else SCHEME)

    @given(st.lists(lines(names), min_size=1, max_size=8))
    @settings(max_examples=600, deadline=None)
    def check(rows: list[list[str]]) -> None:
        quick = BlockPacker(names, default, context, Courts(context))
        answers = [reader.read(1, whole(cells)) for cells in rows]
        for _ in range(2):  # what it has met before changes nothing
            hold(judged(quick, rows, len(names)), answers, context)

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
    sheet = csv_sheet(block, layout)
    assert not sheet.odd
    read = [cells for _, cells in csv_rows(block, layout)]
    assert read == [cells for _, cells in sheet.rows()]
    quick = BlockPacker(HEAD, None, CONTEXT, Courts(CONTEXT))
    reader = Reader(HEAD, None, NOW_MS)
    answers = [reader.read(1, cells) for cells in read]
    hold(quick.judge(*sheet.legible()), answers, CONTEXT)


def test_a_torn_row_is_odd_and_its_neighbours_are_not() -> None:
    rows = [row(n).split(",") for n in range(3)]
    rows[1] = Torn(rows[1])
    faults = judged(BlockPacker(HEAD, None, CONTEXT, Courts(CONTEXT)), rows, len(HEAD)).faults
    assert faults.tolist() == [SOUND, 0, SOUND]


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
        {"entry_id": "712345678"},
        {"entry_id": "1234567890123456789", "case": "2018年执字第7号"},
        {"entry_id": "550e8400-e29b-41d4-a716-446655440000"},
        {
            "entry_id": " 决定 7 ",
            "from": "2018-03-01T08:05:00+08:00",
            "until": "2019-03-01 08:05:00Z",
        },
        {"revision": "", "updated_at": "2018-03-01T08:05:00.123456Z"},
        {"decided_at": "2018-03-01T08:05:00Z", "state": "removed", "reason": "performed"},
        {
            "name": "张三丰|ZHANG SANFENG",
            "document_type": "other",
            "document_kind": "military",
            "document_number": "军字第1号",
            "document_issuer": "CHN",
        },
        {
            "list": "lift",
            "until": "2099-01-01",
            "modes": "air",
            "lifts": "sx",
            "cases": CASE,
            "kind": "mistaken_identity",
        },
    ],
)
def test_ordinary_rows_are_loaded(cells: dict[str, str]) -> None:
    rows = [dict(zip(HEAD, row(n, 1 + n).split(","), strict=True)) | cells for n in range(3)]
    lines_ = [[cells_.get(name, "") for name in COLUMNS] for cells_ in rows]
    faults = judged(
        BlockPacker(COLUMNS, None, CONTEXT, Courts(CONTEXT)), lines_, len(COLUMNS)
    ).faults
    assert (faults == SOUND).all()
