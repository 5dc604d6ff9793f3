"""The traps of docs/domain.md, Traps, in records that we made up."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader.columns.sheets import COLUMNS, Block, Dialect, Layout, Torn
from loader.files.dialect_sheets import dialect_sheet
from loader.files.dialects import DATES, READERS, TEXTS
from loader.files.fields import spell
from loader.files.headers import _FIELDS
from loader.files.sources import Format, SourceOptions
from roster.times import parse_time
from tests.loader.held import Reader
from tests.loader.one_by_one import Reject, Row, Skip
from tests.loader.rowwise import open_rows

NOW_MS = parse_time("2026-11-24T12:00:00+08:00")
NUMBER = "110105184912310020"
Record = dict[str, Any]

SHIXIN: Record = {
    "id": 1503431, "iname": "张某某", "caseCode": "(2011)西执字第00545号", "age": 32,
    "sexy": "男", "cardNum": NUMBER, "courtName": "南昌市西湖区人民法院", "areaName": "江西",
    "partyTypeName": "580", "gistId": "（2010）西民二初字第659号", "regDate": "2011年11月23日",
    "gistUnit": "南昌市西湖区人民法院", "duty": "一、…\n二、李某 110105184912310020\x01",
    "performance": "全部未履行", "disruptTypeName": "违反财产报告制度,其他",
    "publishDate": "2015年04月27日",
}  # fmt: skip
BAIDU: Record = {
    "StdStg": 6899, "age": "55", "areaName": "安徽", "businessEntity": "", "cardNum": NUMBER,
    "caseCode": "(2019)皖1122执1194号", "courtName": "来安县人民法院", "iname": "张某某",
    "partyTypeName": "0", "publishDate": "2019年07月13日", "publishDateStamp": "1562947200",
    "regDate": "20190709", "sexy": "女性", "lastmod": "2019-07-15T03:08:21",
    "loc": "http://shixin.court.gov.cn/detail?id=707091354", "_update_time": "1563185224",
}  # fmt: skip
XGL: Record = {
    "XM": "张某某", "ZXFYMC": "男性", "AH": "（2019）京03执446号", "LASJStr": "2019年04月08日",
    "QY_MC": "某某有限公司", "QY_DM": "91110000600037341L", "cardNum": NUMBER,
    "jsonObject": '{"XM":"张某某","AH":"（2019）京03执446号","courtName":"北京市\n第三中院"}',
}  # fmt: skip
XYCJ: Record = {
    "ID": "3200-77", "AH": "(2018)苏0106执12号", "BZXRMC": "张某某", "BZXRLXMC": "自然人",
    "ZJLXMC": "居民身份证", "ZJHM": NUMBER, "ZXFYMC": "南京市鼓楼区人民法院",
    "FBSJ": "2018-03-01 00:00:00.0", "JZSJ": "2020-02-29 00:00:00.0",
    "LASTUPDATE": "2018-03-07 15:58:50.0",
}  # fmt: skip


def test_a_dialect_is_known_wherever_it_has_to_be() -> None:
    forms = ("auto", "csv", "jsonl", "parquet")
    assert (*forms, *READERS) == get_args(Format)
    assert ("", *READERS) == get_args(Dialect)
    assert list(READERS) == list(TEXTS) == list(DATES) == list(_FIELDS)


def rows_of(dialect: Dialect, value: object) -> list[list[str]]:
    block = Block(1, json.dumps(value).encode())
    return [cells for _, cells in dialect_sheet(block, Layout("json", dialect=dialect)).rows()]


def rows(dialect: Dialect, record: object) -> list[Row | Reject | Skip]:
    reader = Reader(COLUMNS, None, NOW_MS)
    return [reader.read(1, cells) for cells in rows_of(dialect, record)]


def row(dialect: Dialect, record: Record) -> Row:
    (answer,) = rows(dialect, record)
    assert isinstance(answer, Row), answer
    return answer


def fate(dialect: Dialect, record: Record) -> str:
    (answer,) = rows(dialect, record)
    return "loaded" if isinstance(answer, Row) else answer.reason


def test_a_defaulter_of_the_courts_site() -> None:
    found = row("zxgk", SHIXIN)
    assert (found.list, found.entry_id, found.number) == ("sx", "1503431", "R:" + NUMBER)
    assert (found.names, found.court) == (("张某某",), "南昌市西湖区人民法院")
    assert found.case == "(2011)西执字第00545号"
    assert found.from_ms == parse_time("2015-04-27")
    assert (found.until_ms, found.revision, found.state) == (None, None, None)


def test_a_defaulter_of_the_mirror() -> None:
    found = row("zxgk", BAIDU)
    assert (found.list, found.entry_id) == ("sx", "707091354")
    assert found.from_ms == parse_time("2019-07-13")
    assert found.revision == parse_time("2019-07-15T03:08:21+08:00")
    assert row("zxgk", BAIDU | {"publishDate": ""}).from_ms == parse_time("2019-07-13")
    assert row("zxgk", BAIDU | {"lastmod": None}).revision == 1_563_185_224_000


def test_a_restricted_person_of_the_courts_site() -> None:
    found = row("zxgk", XGL)
    assert (found.list, found.entry_id, found.case) == (
        "xgl", "(2019)京03执446号", "（2019）京03执446号",
    )  # fmt: skip
    assert found.court == "北京市\n第三中院"
    assert row("zxgk", XGL | {"ZXFYMC": "某某法院"}).court == "某某法院"
    assert row("zxgk", XGL | {"jsonObject": "{", "ZXFYMC": "09_00003-1"}).court == ""
    assert fate("zxgk", {k: v for k, v in XGL.items() if k != "cardNum"}) == "missing_number"


def test_a_table_may_hold_defaulters_and_restricted_people() -> None:
    nothing = dict.fromkeys([*SHIXIN, *XGL], "")
    restricted = XGL | {"courtName": "某某法院"}
    assert row("zxgk", nothing | restricted) == row("zxgk", restricted)
    assert row("zxgk", nothing | SHIXIN) == row("zxgk", SHIXIN)


def test_pages_and_arrays_hold_many_records() -> None:
    page = {"currentPage": 1, "totalSize": 32, "result": [XGL, XGL]}
    assert len(rows("zxgk", [page, SHIXIN])) == 3
    assert len(rows("zxgk", {"data": [{"result": [BAIDU]}]})) == 1
    assert rows("zxgk", {"result": []}) == []


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        ("1101051849****0020", "masked_number"),
        ("11010518491****0020", "masked_number"),
        ("", "missing_number"),
        (None, "missing_number"),
        ("某某", "unknown_type"),
    ],
)
def test_masked_and_missing_numbers_are_rejected_as_such(number: str, reason: str) -> None:
    assert fate("zxgk", SHIXIN | {"cardNum": number}) == reason
    assert fate("zxgk", XGL | {"cardNum": number}) == reason


@pytest.mark.parametrize(
    "firm",
    [
        {"partyTypeName": "581", "cardNum": "60003734-1"},
        {"partyTypeName": 581, "cardNum": "6000****-1"},
        {"partyTypeName": "0", "cardNum": "60003734-1"},
        {"partyTypeName": "0", "cardNum": "D2143569-X"},
        {"partyTypeName": "", "cardNum": "600037341"},
        {"partyTypeName": "0", "cardNum": "91110000600037341L"},
        {"partyTypeName": "0", "cardNum": "911100006000373451"},
        {"partyTypeName": "0", "cardNum": "A1110000600037341K"},
        {"partyTypeName": "0", "cardNum": "6000****-1", "businessEntity": "李某"},
    ],
)
def test_firms_are_counted_as_organisations(firm: Record) -> None:
    assert fate("zxgk", SHIXIN | firm) == "organisation"


@pytest.mark.parametrize(
    ("number", "spelled", "valid"),
    [
        (NUMBER, "R:" + NUMBER, True),
        (" １１０１０５１８４９１２３１００２０ ", "R:" + NUMBER, True),
        ("110105491231996", "R:110105184912319965", True),
        ("H90000001", "H:H90000001", True),
        ("m9000000102", "H:M90000001", True),
        ("90000001", "T:90000001", True),
        ("EO1234567", "R:EO1234567", None),
        ("EA1234567", "W:CHN:EA1234567", True),
        ("911643180001050819", "P:911643180001050819", True),
        ("USA110000010101", "P:USA110000010101", False),
        ("110105184912310021", "R:110105184912310021", False),
        (f'="{NUMBER}"', "R:" + NUMBER, True),
        (f"身份证号码：{NUMBER}。", "R:" + NUMBER, True),
    ],
)
def test_a_numbers_shape_says_what_it_is(number: str, spelled: str, valid: bool | None) -> None:
    record = SHIXIN | {"cardNum": number}
    if valid is None:
        assert fate("zxgk", record) == "unknown_type"
        return
    found = row("zxgk", record)
    assert row("zxgk", BAIDU | {"cardNum": number}).number == spelled
    assert (found.number, found.valid) == (spelled, valid)


@pytest.mark.parametrize("number", ["11010518491231002", NUMBER + "(本人)", "0" * 18])
def test_what_can_be_no_number_is_malformed(number: str) -> None:
    assert fate("zxgk", SHIXIN | {"cardNum": number}) == "malformed"


def test_dots_in_names_are_kept() -> None:
    assert row("zxgk", SHIXIN | {"iname": "阿·某某"}).names == ("阿·某某",)


def test_a_record_of_another_shape_is_malformed() -> None:
    assert fate("zxgk", {"pname": "张某某", "partyCardNum": NUMBER}) == "malformed"
    for record in (None, 5, "text", [7]):
        assert [type(cells) for cells in rows_of("zxgk", record)] == [Torn]


def test_an_entry_of_the_exchange_table() -> None:
    found = row("xycj", XYCJ)
    assert (found.list, found.entry_id, found.number) == ("sx", "3200-77", "R:" + NUMBER)
    assert (found.state, found.revision) == ("active", parse_time("2018-03-07T15:58:50+08:00"))
    assert found.from_ms == parse_time("2018-03-01")
    assert found.until_ms == parse_time("2020-03-01")
    assert (found.case, found.court) == ("(2018)苏0106执12号", "南京市鼓楼区人民法院")


@pytest.mark.parametrize(
    ("dates", "state", "reason", "decided"),
    [
        ({}, "active", "", None),
        ({"PBSJ": "20190101", "PBYYMC": "执行异议"}, "suspended", "dispute", "2019-01-01"),
        ({"PBSJ": "20190101", "PBYYMC": "复议审查"}, "suspended", "review", "2019-01-01"),
        ({"PBSJ": "20190101"}, "suspended", "court_order", "2019-01-01"),
        ({"CXSJ": "20190102", "CXYYMC": "已履行完毕"}, "removed", "performed", "2019-01-02"),
        ({"CXSJ": "20190102", "CXYYMC": "达成和解"}, "removed", "settled", "2019-01-02"),
        ({"CXSJ": "20190102", "CXYYMC": "纳入错误"}, "removed", "error", "2019-01-02"),
        ({"CXSJ": "20190102"}, "removed", "revoked", "2019-01-02"),
        ({"CXSJ": "20190102", "PBSJ": "20190101"}, "removed", "revoked", "2019-01-02"),
        ({"CXSJ": "20190102", "FBSJ": None}, "removed", "revoked", "2019-01-02"),
        ({"PBSJ": "", "CXSJ": "null"}, "active", "", None),
    ],
)
def test_the_exchange_tables_life_cycle(
    dates: Record, state: str, reason: str, decided: str | None
) -> None:
    found = row("xycj", XYCJ | dates)
    assert (found.state, found.reason) == (state, reason)
    assert found.decided_at_ms == (parse_time(decided) if decided else None)


def test_what_was_never_published_restricts_nobody() -> None:
    assert fate("xycj", XYCJ | {"FBSJ": ""}) == "unpublished"


@pytest.mark.parametrize(
    ("word", "number", "spelled"),
    [
        ("居民身份证", NUMBER, "R:" + NUMBER),
        ("二代身份证", NUMBER, "R:" + NUMBER),
        ("港澳台居民居住证", "810000184912310028", "R:810000184912310028"),
        ("户口簿", NUMBER, "R:" + NUMBER),
        ("外国人永久居留身份证", "USA110000010101", "P:USA110000010101"),
        ("港澳居民来往内地通行证", "H9000000101", "H:H90000001"),
        ("回乡证", "H90000001", "H:H90000001"),
        ("台湾居民来往大陆通行证", "90000001", "T:90000001"),
        ("台胞证", "9000000101", "T:90000001"),
        ("护照", "E90000001", "W:CHN:E90000001"),
        ("军官证", "某字第1号", "O:CHN:military:某字第1号"),
        ("警官证", "1", "O:CHN:police:1"),
        ("海员证", "A1", "O:CHN:seaman:A1"),
        ("旅行证", "A1", "O:CHN:travel_document:A1"),
        ("出生医学证明", "A1", "O:CHN:birth_certificate:A1"),
        ("其他", NUMBER, "R:" + NUMBER),
        ("", "H90000001", "H:H90000001"),
    ],
)
def test_the_exchange_tables_words_for_documents(word: str, number: str, spelled: str) -> None:
    assert row("xycj", XYCJ | {"ZJLXMC": word, "ZJHM": number}).number == spelled


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"ZJLXMC": "外国护照", "ZJHM": "E90000001"}, "missing_issuer"),
        ({"ZJLXMC": "护照", "ZJHM": "SYN000001"}, "missing_issuer"),
        ({"BZXRLXMC": "法人"}, "organisation"),
        ({"BZXRLXMC": "其他组织", "FBSJ": ""}, "organisation"),
        ({"ZJLXMC": "统一社会信用代码"}, "organisation"),
        ({"ZJHM": "", "ZZJGDM": "60003734-1", "BZXRLXMC": ""}, "organisation"),
        ({"ZJHM": ""}, "missing_number"),
        ({"ZJHM": "1101051849****0020"}, "masked_number"),
        ({"FBSJ": "开庭后"}, "bad_date"),
        ({"LASTUPDATE": "昨天"}, "bad_revision"),
        ({"ID": None}, "malformed"),
    ],
)
def test_what_the_exchange_table_has_that_cannot_be_loaded(fields: Record, reason: str) -> None:
    assert fate("xycj", XYCJ | fields) == reason


@pytest.mark.parametrize(
    ("written", "spelled"),
    [
        ("2015年04月27日", "2015-04-27"),
        ("2015年4月7日", "2015-04-07"),
        ("２０１５年４月７日", "2015-04-07"),
        ("20190709", "2019-07-09"),
        ("20190709153000", "2019-07-09T15:30:00+08:00"),
        ("2019-07-09", "2019-07-09"),
        ("2019/7/9", "2019-07-09"),
        ("2019.07.09", "2019-07-09"),
        ("2019-07-15T03:08:21", "2019-07-15T03:08:21+08:00"),
        ("2019-07-15 03:08:21.0", "2019-07-15T03:08:21+08:00"),
        ("2019-07-15T03:08:21Z", "2019-07-15T11:08:21+08:00"),
        ("2019-07-15T03:08:21+0900", "2019-07-15T02:08:21+08:00"),
        ("2019年7月15日3时8分21秒", "2019-07-15T03:08:21+08:00"),
        ("1562947200", "2019-07-13"),
        (1562947201, "2019-07-13T00:00:01+08:00"),
        ("1562947200000", "2019-07-13"),
        ({"time": 1562947200000, "year": 119, "month": 6, "date": 13}, "2019-07-13"),
        ("Wed Mar 07 15:58:50 CST 2018", "2018-03-07T15:58:50+08:00"),
        ("Wed Mar 07 15:58:50 GMT+08:00 2018", "2018-03-07T15:58:50+08:00"),
        ("Wed Mar 07 15:58:50 UTC 2018", "2018-03-07T23:58:50+08:00"),
        ("Wed Mar 07 2018 15:58:50 GMT+0800 (China Standard Time)", "2018-03-07T15:58:50+08:00"),
        ("二〇一九年四月八日", "2019-04-08"),
        ("二○一九年十二月三十一日", "2019-12-31"),
        ("二零二〇年十月十日", "2020-10-10"),
        ("二〇一九年十一月廿九日", "2019-11-29"),
        ("二〇一九年一月二十日", "2019-01-20"),
        ("", ""),
        (None, ""),
        ("暂无", ""),
        ("0000-00-00 00:00:00", ""),
        ("2019年02月30日", "2019年02月30日"),
        ("Wed Mar 07 15:58:50 XYZ 2018", "Wed Mar 07 15:58:50 XYZ 2018"),
        ("二〇一九年十三月八日", "二〇一九年十三月八日"),
        ("二〇一九年十十月八日", "二〇一九年十十月八日"),
        ("开庭后", "开庭后"),
    ],
)
def test_dates_in_every_spelling(written: object, spelled: str) -> None:
    assert spell(written) == spelled


def as_csv(record: Record) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(record))
    writer.writeheader()
    writer.writerow(record)
    return text.getvalue()


@pytest.mark.parametrize("name", ["feed.jsonl", "feed.json", "feed.csv"])
def test_feeds_come_as_lines_arrays_or_tables(name: str, tmp_path: Path) -> None:
    texts = {
        "feed.jsonl": json.dumps(XYCJ) + "\n" + json.dumps([XYCJ, XYCJ]) + "\n",
        "feed.json": json.dumps([XYCJ, XYCJ, XYCJ]),
        "feed.csv": as_csv(XYCJ),
    }
    path = tmp_path / name
    path.write_text(texts[name], encoding="utf-8")
    found = list(open_rows(str(path), SourceOptions(format="xycj")))
    assert [line for line, _ in found] == {
        "feed.jsonl": [1, 2, 2], "feed.json": [1, 2, 3], "feed.csv": [2],
    }[name]  # fmt: skip
    reader = Reader(COLUMNS, None, NOW_MS)
    assert {reader.read(1, cells) for _, cells in found} == {reader.read(1, found[0][1])}
    assert isinstance(reader.read(1, found[0][1]), Row)


@pytest.mark.parametrize("text", ["a\\ud800b", "a\\u0000b"])
def test_what_no_text_may_hold_tears_the_row(text: str) -> None:
    for field in ("iname", "id", "cardNum"):
        (cells,) = rows_of("zxgk", json.loads(json.dumps(SHIXIN | {field: "?"}).replace("?", text)))
        assert isinstance(cells, Torn)
        "".join(cells).encode()
        answer = Reader(COLUMNS, None, NOW_MS).read(1, cells)
        assert isinstance(answer, Reject)
        assert answer.entry_id == (None if field == "id" else "1503431")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*SHIXIN, *XGL, *XYCJ, "result", "time"]), inner)
    ),
    max_leaves=12,
)


@given(st.sampled_from(["zxgk", "xycj"]), JSON)
def test_any_json_has_an_answer(dialect: Dialect, record: object) -> None:
    rows(dialect, record)


@given(st.text(max_size=40) | st.integers() | st.floats() | JSON)
def test_any_date_has_a_spelling(written: object) -> None:
    assert isinstance(spell(written), str)
