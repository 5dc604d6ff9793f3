from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader.columns.sheets import COLUMNS, Torn
from roster.times import parse_time
from tests.loader.held import Reader
from tests.loader.one_by_one import Reject, Row, Skip

NOW_MS = parse_time("2026-11-24T12:00:00+08:00")
NUMBER = "11010518491231002"
VALID = "110105184912310020"
ORDINARY = {
    "list": "sx",
    "entry_id": "(2018)京0105执1234号/1",
    "document_type": "resident_id",
    "document_number": VALID,
    "name": "张某某",
    "revision": "1514764800000",
    "from": "2018-03-01",
    "case": "(2018)京0105执1234号",
    "court": "北京市朝阳区人民法院",
}
NO_ISSUER = ("document_issuer", "missing_issuer")
READER = Reader(COLUMNS, None, NOW_MS)


def read(**cells: str) -> Row | Reject | Skip:
    row = ORDINARY | {name.rstrip("_"): cell for name, cell in cells.items()}
    return READER.read(7, [row.get(column, "") for column in COLUMNS])


def row(**cells: str) -> Row:
    answer = read(**cells)
    assert isinstance(answer, Row), answer
    return answer


def reject(**cells: str) -> tuple[str, str]:
    answer = read(**cells)
    assert isinstance(answer, Reject), answer
    return answer.field, answer.reason


def test_an_ordinary_row_is_loaded() -> None:
    assert row() == Row(
        line=7,
        list="sx",
        entry_id="(2018)京0105执1234号/1",
        number="R:110105184912310020",  # type: ignore[arg-type]
        valid=True,
        names=("张某某",),
        revision=1_514_764_800_000,
        state=None,
        from_ms=parse_time("2018-03-01T00:00:00+08:00"),
        until_ms=None,
        case="(2018)京0105执1234号",
        court="北京市朝阳区人民法院",
    )


def test_what_a_row_does_not_say_is_none() -> None:
    bare = row(revision="", from_="", name="", case="", court="")
    assert (bare.revision, bare.state, bare.from_ms, bare.names) == (None, None, None, ())
    assert row(revision="  ", from_=" ", name=" | ").revision is None


def test_only_the_required_columns_are_needed_in_any_order() -> None:
    reader = Reader(("document_number", "entry_id", "document_type"), "xgl", NOW_MS)
    answer = reader.read(2, [VALID, "a", "resident_id"])
    assert isinstance(answer, Row)
    assert (answer.list, answer.entry_id, answer.number) == ("xgl", "a", "R:" + VALID)


def test_blanks_around_cells_do_not_matter() -> None:
    answer = row(
        list=" sx ", entry_id=" a ", document_type=" Resident_ID ", state=" Removed ",
        from_=" 2018-03-01 ", revision=" 1500000000000 ", name=" 张某某 | ZHANG MOUMOU |",
    )  # fmt: skip
    assert (answer.list, answer.entry_id, answer.state, answer.revision) == (
        "sx",
        "a",
        "removed",
        1_500_000_000_000,
    )
    assert answer.names == ("张某某", "ZHANG MOUMOU")


def test_a_bare_until_includes_its_day() -> None:
    assert row(until="2018-03-01").until_ms == parse_time("2018-03-02T00:00:00+08:00")
    assert row(until="2018-03-01T00:00:00Z").until_ms == parse_time("2018-03-01T00:00:00Z")


def test_updated_at_is_a_revision_too() -> None:
    assert row(revision="", updated_at="2018-01-01").revision == parse_time("2018-01-01")
    answer = row(revision="1500000000000", updated_at="2018-01-01")
    assert answer.revision == 1_500_000_000_000


@pytest.mark.parametrize(
    ("cells", "field", "reason"),
    [
        ({"document_number": "1101051849****0020"}, "document_number", "masked_number"),
        ({"document_number": "11010518491****0020"}, "document_number", "masked_number"),
        ({"document_number": "1101051849＊＊＊＊0020"}, "document_number", "masked_number"),
        ({"document_number": "1101051849xxxx0020"}, "document_number", "masked_number"),
        ({"document_number": ""}, "document_number", "missing_number"),
        ({"document_number": " \u3000"}, "document_number", "missing_number"),
        ({"document_number": "1" * 65}, "document_number", "too_long"),
        ({"document_number": "1.10105E+17"}, "document_number", "malformed"),
        ({"document_type": "library_card"}, "document_type", "unknown_type"),
        ({"document_type": ""}, "document_type", "unknown_type"),
        ({"document_type": "passport"}, *NO_ISSUER),
        ({"document_type": "passport", "document_issuer": "XYZ"}, *NO_ISSUER),
        ({"document_type": "other", "document_kind": "seaman"}, *NO_ISSUER),
        ({"document_type": "other", "document_issuer": "RUS"}, "document_kind", "unknown_type"),
        ({"from": "2018-02-30"}, "from", "bad_date"),
        ({"from": "01.03.2018"}, "from", "bad_date"),
        ({"until": "2018-03-01T00:00:00"}, "until", "bad_date"),
        ({"decided_at": "yesterday"}, "decided_at", "bad_date"),
        ({"revision": "yesterday"}, "revision", "bad_revision"),
        ({"revision": "0"}, "revision", "bad_revision"),
        ({"revision": "-5"}, "revision", "bad_revision"),
        ({"revision": "1700000000"}, "revision", "bad_revision"),
        ({"revision": "631151999999"}, "revision", "bad_revision"),
        ({"revision": "", "updated_at": "1989-12-31"}, "updated_at", "bad_revision"),
        ({"revision": "", "updated_at": "1970-01-20T16:13:20Z"}, "updated_at", "bad_revision"),
        ({"revision": "1_000"}, "revision", "bad_revision"),
        ({"revision": "１２"}, "revision", "bad_revision"),
        ({"revision": "9" * 5000}, "revision", "bad_revision"),
        ({"revision": str(NOW_MS + 300_001)}, "revision", "bad_revision"),
        ({"revision": "", "updated_at": "2018-13-01"}, "updated_at", "bad_revision"),
        ({"revision": "", "updated_at": "2027-01-01"}, "updated_at", "bad_revision"),
        ({"entry_id": f"x{VALID}"}, "entry_id", "number_in_text"),
        ({"case": f"案 {VALID}"}, "case", "number_in_text"),
        ({"court": f"法院{VALID}"}, "court", "number_in_text"),
        ({"name": f"张某某{VALID}"}, "name", "number_in_text"),
        ({"cases": f"a|{VALID}"}, "cases", "number_in_text"),
        ({"entry_id": "x" * 129}, "entry_id", "too_long"),
        ({"case": "x" * 129}, "case", "too_long"),
        ({"court": "x" * 65}, "court", "too_long"),
        ({"name": "x" * 101}, "name", "too_long"),
        ({"name": "a|b|c|d|e"}, "name", "too_long"),
        ({"cases": "x" * 129}, "cases", "too_long"),
        ({"cases": "x|" * 33}, "cases", "too_long"),
        ({"lifts": "sx|" * 40_000}, "lifts", "too_long"),
        ({"modes": "air|" * 40_000}, "modes", "too_long"),
        ({"entry_id": ""}, "entry_id", "malformed"),
        ({"list": ""}, "list", "malformed"),
        ({"state": "gone"}, "state", "malformed"),
        ({"modes": "air|bus"}, "modes", "malformed"),
        ({"kind": "twin"}, "kind", "malformed"),
        ({"list": "lift"}, "until", "bad_date"),
        (
            {"list": "lift", "until": "2030-01-01", "kind": "mistaken_identity", "name": ""},
            "name",
            "malformed",
        ),
    ],
)  # fmt: skip
def test_a_row_that_cannot_be_used_says_where_and_why(
    cells: dict[str, str], field: str, reason: str
) -> None:
    assert reject(**cells) == (field, reason)


def test_a_revision_may_be_five_minutes_ahead() -> None:
    assert row(revision=str(NOW_MS + 300_000)).revision == NOW_MS + 300_000


def test_a_revision_may_be_as_old_as_1990() -> None:
    assert row(revision="631152000000").revision == 631_152_000_000
    assert row(revision="", updated_at="1990-01-01T00:00:00Z").revision == 631_152_000_000


def test_limits_are_the_last_lengths_that_are_loaded() -> None:
    answer = row(entry_id="x" * 128, case="y" * 128, court="z" * 64, name="|".join(["n" * 100] * 4))
    assert (len(answer.entry_id), len(answer.case), len(answer.court)) == (128, 128, 64)
    assert len(answer.names) == 4


def test_a_wrong_check_digit_is_loaded_as_spelled_with_a_warning() -> None:
    answer = row(document_number=NUMBER + "1")
    assert (answer.number, answer.valid) == ("R:" + NUMBER + "1", False)


def test_an_issuer_or_kind_beside_a_document_that_has_none_is_ignored() -> None:
    assert row(document_issuer="CHN", document_kind="x").number == "R:" + VALID
    answer = row(document_type="passport", document_issuer="RUS", document_kind="x",
                 document_number="SYN000001")  # fmt: skip
    assert answer.number == "W:RUS:SYN000001"


@pytest.mark.parametrize("why", ["organisation", "unpublished"])
def test_what_is_no_persons_is_skipped_whatever_else_it_says(why: str) -> None:
    assert read(document_type=why, from_="?", document_number="") == Skip(7, why, "sx")


def test_a_rejected_row_keeps_what_makes_it_count_as_present() -> None:
    answer = read(from_="?")
    assert answer == Reject(7, "from", "bad_date", "sx", ORDINARY["entry_id"], "R:" + VALID)  # type: ignore[arg-type]
    answer = read(document_number="1101051849****0020")
    assert isinstance(answer, Reject)
    assert (answer.entry_id, answer.number) == (ORDINARY["entry_id"], None)
    assert READER.read(3, ["sx"]) == Reject(3, "", "malformed", "sx")


def test_a_torn_row_is_malformed_and_keeps_what_is_legible() -> None:
    cells = [ORDINARY.get(column, "") for column in COLUMNS]
    whole = READER.read(1, Torn(cells))
    assert isinstance(whole, Reject)
    assert (whole.reason, whole.entry_id) == ("malformed", ORDINARY["entry_id"])
    for broken in (cells[:2], [*cells, "x"], Torn()):
        answer = READER.read(1, broken)
        assert isinstance(answer, Reject)
        assert answer.reason == "malformed"
    illegible = READER.read(1, Torn(["sx", "a\0b", *cells[2:]]))
    assert illegible == Reject(1, "", "malformed", "sx")


def test_a_lift_says_what_is_lifted() -> None:
    lift = row(
        list="lift", until="2030-01-01", modes="air|Rail", lifts="sx|xgl", cases="a|b",
        kind="mistaken_identity", decided_at="2018-01-02",
    )  # fmt: skip
    assert (lift.modes, lift.lifts, lift.cases) == (("air", "rail"), ("sx", "xgl"), ("a", "b"))
    assert lift.kind == "mistaken_identity"
    assert lift.decided_at_ms == parse_time("2018-01-02")


@pytest.mark.parametrize(
    ("state", "reason", "kept"),
    [
        ("removed", "performed", "performed"),
        ("removed", "paid at last", "other"),
        ("removed", "", ""),
        ("suspended", "dispute", "dispute"),
        ("suspended", "performed", ""),
        ("", "performed", ""),
    ],
)
def test_a_reason_never_costs_a_removal(state: str, reason: str, kept: str) -> None:
    assert row(state=state, reason=reason).reason == kept


def test_a_lift_that_was_removed_needs_no_end() -> None:
    assert row(list="lift", state="removed").state == "removed"


@given(st.lists(st.text(max_size=30), max_size=len(COLUMNS) + 2))
def test_any_row_has_an_answer(cells: list[str]) -> None:
    READER.read(1, cells)


@given(
    st.dictionaries(
        st.sampled_from(COLUMNS),
        st.one_of(
            st.text(max_size=140),
            st.sampled_from(["passport", "other", "lift", "removed", "2018-01-01", VALID, "RUS"]),
        ),
    )
)
def test_a_reject_never_repeats_a_cell(cells: dict[str, str]) -> None:
    answer = READER.read(1, [(ORDINARY | cells).get(column, "") for column in COLUMNS])
    if isinstance(answer, Reject):
        assert answer.field in {"", *COLUMNS}
        assert answer.reason.replace("_", "").isalpha()
