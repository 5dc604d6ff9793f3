"""The courts' feeds read by column, held to what `dialects` makes of each record."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loader import dialects
from loader.dialect_sheets import dialect_sheet
from loader.json_sheets import loose
from loader.layout import Block, Dialect, Layout, Torn
from tests.loader.rowwise import csv_rows
from tests.loader.test_dialects import BAIDU, JSON, NUMBER, SHIXIN, XGL, XYCJ

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

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
            for row in dialects.rows_of(dialect, loose(text.encode()))
        ]
        assert told(found.rows()) == told(wanted)

    check()


def in_table(block: Block, layout: Layout) -> Iterator[tuple[int, list[str]]]:
    for line, cells in csv_rows(block, layout):
        if isinstance(cells, Torn) or len(cells) != len(layout.header):
            yield line, Torn()
        else:
            record = dict(zip(layout.header, cells, strict=True))
            yield line, dialects.row_of(layout.dialect, record)


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


def test_ordinary_records_are_read_by_column_and_none_is_odd() -> None:
    for dialect, bases in BASES.items():
        data = "\n".join(json.dumps(base) for base in bases * 3).encode()
        sheet = dialect_sheet(Block(1, data), Layout("json", dialect=dialect))
        assert len(sheet) == 3 * len(bases)
        assert not sheet.odd
