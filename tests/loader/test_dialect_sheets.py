"""The courts' feeds read by column, held to what each record says by itself."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loader.columns.sheets import COLUMNS, Block, Dialect, Layout, Torn
from loader.files.dialect_sheets import dialect_sheet
from loader.files.json_sheets import loose
from tests.loader.courts import row_of, rows_of
from tests.loader.rowwise import csv_rows
from tests.loader.test_dialects import BAIDU, JSON, NUMBER, SHIXIN, XGL, XYCJ

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from loader.columns.sheets import Sheet

Record = dict[str, Any]
Told = list[tuple[int, type, list[str]]]
BASES: dict[Dialect, list[Record]] = {"zxgk": [SHIXIN, BAIDU, XGL], "xycj": [XYCJ]}
FIELDS = tuple(
    {**SHIXIN, **BAIDU, **XGL, **XYCJ}.keys()
    | {"ZZJGDM", "CXSJ", "CXYYMC", "PBSJ", "PBYYMC", "sfzhm", "ID", "ZJHM", "jsonObject"}
)
TEXTS = (
    "", " ", "null", "NULL", "580", "581", "0", "男", "09_00003-1", "某某法院", "法人", "自然人",
    "2018-03-01 00:00:00.0", "2018-03-07 15:58:50", "2018-03-07T15:58:50.5", "2018-02-29 00:00:00",
    "2018-03-07T24:00:00", "2018-13-01T00:00:00", "0000-00-00", "2015年04月27日", "20190709", "-",
    "1562947200", "二〇一九年四月八日", NUMBER, " " + NUMBER, NUMBER.lower(), "110105491231996",
    "91110000600037341L", "60003734-1", "600037341", "H90000001", "90000001", "9000000001",
    "911643180001050819", "11010518491231002x", "1101051849****0020", "EA1234567", "E90000001",
    "９１１１", "护照", "外国护照", "居民身份证", "军官证", "已履行", "执行异议",
    "（2019）京03执446号",
    "\u3000张三\u3000", "\xa0x", "a\u2003", "張、", "x\u0085", "é", "²", "3.0", "a\u0000b",
    "http://x/detail?id=707091354", 'a,"b"\nc',
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None,
    580,
    581,
    0,
    1562947200,
    True,
    {"time": 1562947200000},
    {},
    ["a"],
    [],
    3.5,
)
texts = st.one_of(st.sampled_from(TEXTS), st.text(max_size=5))
values: Any = st.one_of(texts, texts, st.sampled_from(VALUES))


@st.composite
def records(draw: st.DrawFn, dialect: Dialect, of: Any = values) -> Record:  # noqa: ANN401 -- a strategy
    """An ordinary record, mostly; some of its fields may be something else, or missing."""
    record = dict(draw(st.sampled_from(BASES[dialect])))
    for field in draw(st.lists(st.sampled_from(FIELDS), max_size=4)):
        if draw(st.booleans()):
            record[field] = draw(of)
        else:
            record.pop(field, None)
    return record


def lines(dialect: Dialect) -> Any:  # noqa: ANN401 -- a strategy
    """What may stand in a line of JSON."""
    record = records(dialect)
    return st.one_of(
        record.map(json.dumps),
        record.map(lambda record: json.dumps(record, ensure_ascii=False)),
        record.map(lambda record: json.dumps({"jsonObject": json.dumps(record)})),
        st.lists(record, max_size=2).map(json.dumps),
        record.map(lambda record: json.dumps({"data": [record, {"result": [record]}]})),
        JSON.map(json.dumps),
        st.sampled_from(["", " ", "{", "5", '{"XM":"\\ud800","AH":"1"}']),
    )


def told(rows: Iterable[tuple[int, list[str]]]) -> Told:
    return [(line, type(row), list(row)) for line, row in rows]


@pytest.mark.parametrize("dialect", ["zxgk", "xycj"])
def test_lines_have_the_rows_that_each_record_has(dialect: Dialect) -> None:
    @settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(lines(dialect), min_size=1, max_size=6))
    def check(texts: Sequence[str]) -> None:
        found = dialect_sheet(Block(3, "\n".join(texts).encode()), Layout("json", dialect=dialect))
        wanted = [
            (line, row)
            for line, text in enumerate(texts, 3)
            if text.strip()
            for row in rows_of(dialect, loose(text.encode()))
        ]
        assert told(found.rows()) == told(wanted)

    check()


def in_table(block: Block, layout: Layout) -> Iterator[tuple[int, list[str]]]:
    for line, cells in csv_rows(block, layout):
        if isinstance(cells, Torn) or len(cells) != len(layout.header):
            yield line, Torn()
        else:
            record = dict(zip(layout.header, cells, strict=True))
            yield line, row_of(layout.dialect, record)


@pytest.mark.parametrize("dialect", ["zxgk", "xycj"])
@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
def test_a_table_has_the_rows_that_each_record_has(dialect: Dialect, quoting: Any) -> None:  # noqa: ANN401 -- csv's
    @settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(records(dialect, texts), max_size=6), st.sampled_from(["", "a,b\n", '"\n']))
    def check(found: Sequence[Record], fault: str) -> None:
        names = list(dict.fromkeys(name for record in found for name in record)) or ["id"]
        text = io.StringIO()
        writer = csv.DictWriter(text, names, lineterminator="\n", quoting=quoting)
        for record in found:
            writer.writerow(record)
            text.write(fault)
        layout = Layout("csv", header=tuple(names), dialect=dialect)
        block = Block(2, text.getvalue().encode())
        assert told(dialect_sheet(block, layout).rows()) == told(in_table(block, layout))

    check()


ROWS = {
    "zxgk": [
        {
            "list": "sx", "entry_id": "1503431", "document_type": "resident_id",
            "document_number": NUMBER, "name": "张某某", "from": "2015-04-27",
            "case": "(2011)西执字第00545号", "court": "南昌市西湖区人民法院",
        },
        {
            "list": "sx", "entry_id": "707091354", "document_type": "resident_id",
            "document_number": NUMBER, "name": "张某某", "updated_at": "2019-07-15T03:08:21+08:00",
            "from": "2019-07-13", "case": "(2019)皖1122执1194号", "court": "来安县人民法院",
        },
        {
            "list": "xgl", "entry_id": "(2019)京03执446号", "document_type": "resident_id",
            "document_number": NUMBER, "name": "张某某", "case": "（2019）京03执446号",
            "court": "北京市\n第三中院",
        },
    ],
    "xycj": [
        {
            "list": "sx", "entry_id": "3200-77", "document_type": "resident_id",
            "document_number": NUMBER, "name": "张某某", "updated_at": "2018-03-07T15:58:50+08:00",
            "state": "active", "from": "2018-03-01", "until": "2020-02-29",
            "case": "(2018)苏0106执12号", "court": "南京市鼓楼区人民法院",
        },
    ],
}  # fmt: skip


def sheet_of(dialect: Dialect, lines: Iterable[str]) -> Sheet:
    return dialect_sheet(Block(1, "\n".join(lines).encode()), Layout("json", dialect=dialect))


def cells_of(rows: Iterable[dict[str, str]]) -> list[list[str]]:
    return [[row.get(column, "") for column in COLUMNS] for row in rows]


@pytest.mark.parametrize("dialect", ["zxgk", "xycj"])
def test_ordinary_records_are_read_by_column_and_none_is_odd(dialect: Dialect) -> None:
    sheet = sheet_of(dialect, map(json.dumps, BASES[dialect] * 3))
    assert [row for _, row in sheet.rows()] == cells_of(ROWS[dialect]) * 3
    assert not sheet.odd


def test_a_table_has_the_same_rows_whatever_else_is_in_it() -> None:
    names = list({**SHIXIN, **BAIDU, **XGL})
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    for record in [*BASES["zxgk"], {"QY_MC": "某某"}, *BASES["zxgk"]]:
        writer.writerow(record)
    layout = Layout("csv", header=tuple(names), dialect="zxgk")
    rows = [row for _, row in dialect_sheet(Block(1, text.getvalue().encode()), layout).rows()]
    *defaulters, restricted = ROWS["zxgk"]
    some = [*defaulters, restricted | {"court": ""}]  # the table has an empty one
    assert rows == cells_of([*some, {"list": "sx", "document_type": "resident_id"}, *some])


def test_what_no_text_may_hold_tears_its_own_row_only_and_only_where_it_shows() -> None:
    bad = [
        json.dumps(SHIXIN | {field: "?"}).replace("?", said)
        for field in ("courtName", "gistUnit", "loc")
        for said in ("a\\ud800b", "a\\u0000b")
    ]
    sheet = sheet_of("zxgk", [json.dumps(SHIXIN), *bad, json.dumps(SHIXIN)])
    assert list(sheet.odd) == [1, 2]
    (good,) = cells_of(ROWS["zxgk"][:1])
    torn = [cell.replace("南昌市西湖区人民法院", "a\ufffdb") for cell in good]
    assert [row for _, row in sheet.rows()] == [good, torn, torn, *[good] * 5]


def test_arrays_may_be_deep() -> None:
    deep = "[" * 400 + json.dumps(XYCJ) + "]" * 400
    rows = sheet_of("xycj", [deep, "[" * 100_000, json.dumps(XYCJ)]).rows()
    (good,) = cells_of(ROWS["xycj"])
    assert told(rows) == [(1, list, good), (2, Torn, []), (3, list, good)]


def test_a_date_that_is_empty_in_any_way_is_none() -> None:
    empty: list[Any] = ["", None, False, 0, [], {}, {"time": None}, "-", "0000-00-00"]
    for nothing in empty:
        sheet = sheet_of("zxgk", [json.dumps(BAIDU | {"lastmod": nothing})])
        ((_, row),) = sheet.rows()
        assert row[COLUMNS.index("updated_at")] == "2019-07-15T18:07:04+08:00"
