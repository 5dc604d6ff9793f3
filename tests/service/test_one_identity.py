"""A text that identifies is the same with blanks or invisible characters at its ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from loader.columns.sheets import COLUMNS
from roster.documents.spelling import trimmed
from tests.loader.held import Reader
from tests.loader.one_by_one import Row
from tests.service.apps import bearer, make_key
from tests.service.rosters import LISTED, desk, edit

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers import Server

UNSEEN = [
    *" \t\n\r\x00\x1f\x7f\x85\xa0\xad\u034f\u115f\u1160\u1680\u180b\u180e\u2000\u2003\u2009",
    *"\u200b\u200c\u200d\u200e\u200f\u2028\u2029\u202a\u202e\u202f\u205f\u2060\u2066\u2069",
    *"\u2800\u3000\u3164\ufe00\ufe0f\ufeff\uffa0\U000e0020\U000e0100\U000e01ef",
]


@pytest.mark.parametrize("unseen", UNSEEN, ids=ascii)
def test_what_nobody_sees_at_the_ends_is_no_part_of_a_text(unseen: str) -> None:
    for around in (unseen, unseen + " ", " " + unseen, unseen * 3):
        assert trimmed(f"{around}（1899）京0105执7 号{around}") == "（1899）京0105执7 号"
        assert trimmed(f"{around}e{unseen}1{around}") == f"e{unseen}1"
    assert trimmed(unseen * 2) == ""


@pytest.mark.parametrize("text", ["-e-", "'e'", "*", "e\u0301", "号", "/1", "e.", "𠀀"])
def test_what_can_be_seen_stays(text: str) -> None:
    assert trimmed(text) == text


@pytest.mark.parametrize("unseen", UNSEEN, ids=ascii)
def test_a_file_reads_the_identity_that_the_api_takes(unseen: str) -> None:
    cells = {
        "list": f"{unseen}lift{unseen}",
        "entry_id": f"{unseen}e/1{unseen}",
        "document_type": "resident_id",
        "document_number": LISTED["number"] + unseen,
        "case": f"{unseen}c 1{unseen}",
        "until": "2100-01-01",
        "lifts": f"{unseen}sx{unseen}|xgl{unseen}",
        "cases": f"{unseen}c 1{unseen}|{unseen}",
    }
    row = Reader(COLUMNS, None, 0).read(1, [cells.get(column, "") for column in COLUMNS])
    assert isinstance(row, Row), row
    assert (row.list, row.entry_id, row.case) == ("lift", "e/1", "c 1")
    assert (row.lifts, row.cases) == (("sx", "xgl"), ("c 1",))


@pytest.mark.parametrize("unseen", [" ", "\t", "\xa0", "\u3000", "\u200b", "\ufeff"], ids=ascii)
async def test_a_removal_finds_its_entry_whatever_surrounds_the_ids(
    unseen: str, valkey: Server, tmp_path: Path
) -> None:
    wrapped = {"list": f"{unseen}sx", "entry_id": f"e/1{unseen}"}
    entry = {"case": f"{unseen}c/1{unseen}"}
    async with desk(valkey, tmp_path) as api:
        assert await api.outcomes(edit("put", entry=entry)) == ["applied"]
        assert await api.outcomes(edit("put", entry={"case": "c/1"})) == ["duplicate"]
        assert await api.outcomes(edit("remove", 11, **wrapped)) == ["applied"]
        assert (await api.check(LISTED))["decision"] == "allow"
        assert await api.outcomes(edit("put", 12, **wrapped)) == ["applied"]
        (reason,) = (await api.check(LISTED))["reasons"]
        assert (reason["list"], reason["entry_id"]) == ("sx", "e/1")
        asked = {"document": LISTED, "entry_id": f"{unseen}e/1", "list": f"sx{unseen}"}
        history = (await api.post("/v1/entries/history", asked))["history"]
        assert [each["op"] for each in history][-3:] == ["put", "remove", "put"]
        assert await api.outcomes(edit("remove", 13)) == ["applied"]
        assert (await api.check(LISTED))["decision"] == "allow"


async def test_a_lift_meets_its_case_whatever_surrounds_it(valkey: Server, tmp_path: Path) -> None:
    lift = {"until": "2100-01-01", "cases": ["\u3000c/1 "], "lifts": ["sx\u200b"]}
    async with desk(valkey, tmp_path) as api:
        await api.change(edit("put", entry={"case": "c/1"}), wait="all")
        changed = await api.change(edit("put", list="lift", entry=lift), wait="all")
        assert [each["outcome"] for each in changed["results"]] == ["applied"]
        assert (await api.check(LISTED))["decision"] == "allow"


@pytest.mark.parametrize("name", [" lift", "lift\u200b", "\ufefflift"], ids=ascii)
async def test_a_scope_is_that_of_the_list_as_it_identifies(
    name: str, valkey: Server, tmp_path: Path
) -> None:
    lift = edit("put", list=name, entry={"until": "2100-01-01"})
    async with desk(valkey, tmp_path) as api:
        weak = await make_key(api.service.settings, ["list:add", "list:remove"])
        api.client.headers.update(bearer(weak))
        await api.post("/v1/changes", {"changes": [lift]}, status=403)
        narrow = await make_key(api.service.settings, ["list:remove@xgl"])
        api.client.headers.update(bearer(narrow))
        there = edit("remove", list="\u3000xgl ")
        assert await api.outcomes(there) == ["unseen"]
        await api.post("/v1/changes", {"changes": [edit("remove", list=" sx")]}, status=403)


@pytest.mark.parametrize("nothing", [" ", "\u3000\u200b"], ids=ascii)
async def test_an_id_of_nothing_but_blanks_is_rejected(
    nothing: str, valkey: Server, tmp_path: Path
) -> None:
    async with desk(valkey, tmp_path) as api:
        (result,) = (await api.change(edit("put", entry_id=nothing)))["results"]
        assert result["outcome"] == "rejected"
        assert result["errors"][0]["field"] == "entry_id"


@pytest.mark.parametrize("unseen", [" ", "\u200b", " " * 60], ids=ascii)
async def test_what_nobody_sees_at_the_ends_does_not_count_as_length(
    unseen: str, valkey: Server, tmp_path: Path
) -> None:
    long = "e" * 128
    wide = {"document": LISTED | {"number": unseen + LISTED["number"] + unseen}}
    wrapped: dict[str, Any] = {"list": "sx" + unseen, "entry_id": long + unseen, **wide}
    lift = {"until": "2100-01-01", "cases": ["c" * 128 + unseen], "lifts": ["sx" + unseen]}
    async with desk(valkey, tmp_path) as api:
        put = edit("put", **wrapped, entry={"case": "c" * 128 + unseen})
        assert await api.outcomes(put) == ["applied"]
        assert (await api.post("/v1/entries/history", wrapped))["history"]
        assert await api.outcomes(edit("put", list="lift", entry=lift)) == ["applied"]
        odd: dict[str, dict[str, Any]] = {
            "entry_id": {"entry_id": unseen + long + "e"},
            "entry.case": {"entry": {"case": "c" * 129 + unseen}},
            "entry.cases": {"list": "lift", "entry": lift | {"cases": ["c" * 129]}},
            "document.number": {"document": LISTED | {"number": "1" * 65}},
        }
        for field, more in odd.items():
            (result,) = (await api.change(edit("put", **more)))["results"]
            assert [each["field"] for each in result["errors"]] == [field]
            assert "length <= " in result["errors"][0]["message"]
        await api.post("/v1/changes", {"changes": [edit("put", list="x" * 33)]}, status=400)
        for field, text in {"entry_id": long + "e", "list": "x" * 33}.items():
            asked = {"document": LISTED, field: text + unseen}
            refused = await api.post("/v1/entries/history", asked, status=400)
            assert [each["field"] for each in refused["errors"]] == [field]
