from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.service.apps import bearer, make_key
from tests.service.rosters import AIR, LISTED, OTHER, desk, edit

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers import Server

RAIL = {"mode": "rail", "train": "G101", "seat": "O"}
ENTRY = {
    "name": "张三",
    "from": "2018-03-01",
    "case": "(2018)京0105执1234号",
    "court": "北京市朝阳区人民法院",
}


async def test_a_denial_says_why_and_what_is_allowed(valkey: Server, tmp_path: Path) -> None:
    async with desk(valkey, tmp_path) as api:
        await api.change(edit("put", entry=ENTRY), wait="all")
        answer = await api.check(LISTED, RAIL, name="张 三", reference="PNR-7")
        (reason,) = answer["reasons"]
        contact = reason.pop("contact")
        assert contact
        assert reason == {
            "code": "listed",
            "list": "sx",
            "entry_id": "e/1",
            "case": "(2018)京0105执1234号",
            "court": "北京市朝阳区人民法院",
            "from": "2018-02-28T16:00:00Z",
            "until": None,
        }
        assert answer["decision"] == "deny"
        assert answer["allowed_instead"][0] == {
            "mode": "rail",
            "trains": ["D", "C"],
            "seats": ["O", "8", "W"],
        }
        assert (answer["name_check"], answer["reference"]) == ("match", "PNR-7")
        assert (answer["stale"], "seats" in answer) == (False, False)
        assert answer["fresh_as_of"].endswith("Z")
        assert answer["subject"]
        assert answer["decision_id"]
        assert answer["position"]


async def test_an_allow_has_empty_reasons(valkey: Server, tmp_path: Path) -> None:
    async with desk(valkey, tmp_path) as api:
        answer = await api.check(OTHER)
        assert (answer["decision"], answer["reasons"]) == ("allow", [])
        assert answer["allowed_instead"] == []
        assert "subject" not in answer
        assert "name_check" not in answer


async def test_a_list_of_seats_is_answered_seat_by_seat(valkey: Server, tmp_path: Path) -> None:
    journey = {"mode": "rail", "train": "d3", "seat": ["O", "M", "WZ"]}
    async with desk(valkey, tmp_path) as api:
        await api.change(edit("put"), wait="all")
        answer = await api.check(LISTED, journey)
        assert answer["seats"] == {"O": "allow", "M": "deny", "W": "allow"}
        assert answer["decision"] == "deny"
        cleared = await api.check(OTHER, journey)
        assert cleared["seats"] == {"O": "allow", "M": "allow", "W": "allow"}


async def test_another_key_sees_another_subject(valkey: Server, tmp_path: Path) -> None:
    async with desk(valkey, tmp_path) as api:
        await api.change(edit("put"), wait="all")
        mine = (await api.check(LISTED))["subject"]
        assert (await api.check(LISTED))["subject"] == mine
        api.client.headers.update(bearer(await make_key(api.service.settings)))
        assert (await api.check(LISTED))["subject"] != mine


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "document"),
        ({"document": OTHER}, "journey"),
        ({"document": OTHER, "journey": {}}, "journey.mode"),
        ({"document": OTHER, "journey": {"mode": "bus"}}, "journey.mode"),
        ({"document": OTHER, "journey": {"mode": "rail", "seat": "O"}}, "journey.train"),
        ({"document": OTHER, "journey": {"mode": "rail", "train": "G1"}}, "journey.seat"),
        ({"document": OTHER, "journey": {**RAIL, "train": "GG1"}}, "journey.train"),
        ({"document": OTHER, "journey": {**RAIL, "seat": "WZZ"}}, "journey.seat"),
        ({"document": OTHER, "journey": {**RAIL, "seat": []}}, "journey.seat"),
        ({"document": OTHER, "journey": {**RAIL, "seat": ["O"] * 11}}, "journey.seat"),
        ({"document": OTHER, "journey": {"mode": "ship"}}, "journey.cabin"),
        ({"document": OTHER, "journey": {"mode": "ship", "cabin": "roof"}}, "journey.cabin"),
        ({"document": OTHER, "journey": AIR, "extra": 1}, ""),
        ({"document": {**OTHER, "extra": 1}, "journey": AIR}, "document"),
        ({"document": {"type": "resident_id"}, "journey": AIR}, "document.number"),
        ({"document": {"type": "resident_id", "number": 5}, "journey": AIR}, "document.number"),
        ({"document": {"type": "resident_id", "number": " - "}, "journey": AIR},
         "document.number"),
        ({"document": {"type": "passport", "number": "E1"}, "journey": AIR}, "document.issuer"),
        ({"document": OTHER, "journey": {**AIR, "departs_at": "soon"}}, "journey.departs_at"),
        ({"document": OTHER, "journey": AIR, "at_least": "nonsense"}, "at_least"),
        ({"document": OTHER, "journey": AIR, "reference": "x" * 65}, "reference"),
    ],
)  # fmt: skip
async def test_a_malformed_check_is_a_400_that_names_the_field(
    body: dict[str, Any], field: str, valkey: Server, tmp_path: Path
) -> None:
    async with desk(valkey, tmp_path) as api:
        problem = await api.post("/v1/check", body, status=400)
        assert problem["errors"][0]["field"] == field
        assert problem["status"] == 400
        assert OTHER["number"] not in str(problem)


async def test_a_batch_keeps_its_order_and_leaves_out_what_goes_for_all(
    valkey: Server, tmp_path: Path
) -> None:
    async with desk(valkey, tmp_path) as api:
        await api.change(edit("put"), wait="all")
        items = [
            {"document": OTHER, "reference": "1"},
            {"document": LISTED, "reference": "2"},
            {"document": {"type": "passport", "number": "x"}, "reference": "3"},
            {"document": LISTED, "journey": {"mode": "rail", "train": "K9", "seat": "3"}},
        ]
        answer = await api.post("/v1/check/batch", {"items": items, "journey": AIR})
        allowed, denied, wrong, slow = answer["results"]
        assert set(allowed) == {"decision", "decision_id", "reference"}
        assert (denied["decision"], denied["reference"]) == ("deny", "2")
        assert denied["position"]
        assert wrong["error"]["errors"][0]["field"] == "document.issuer"
        assert slow["decision"] == "allow"
        assert answer["counts"] == {"allow": 2, "deny": 1, "refer": 0, "error": 1}
        assert answer["stale"] is False
        assert "fresh_as_of" in answer
        assert "fresh_as_of" not in denied


@pytest.mark.parametrize("count", [0, 1001, 10_000])
async def test_a_batch_of_none_or_too_many_is_a_400(
    count: int, valkey: Server, tmp_path: Path
) -> None:
    async with desk(valkey, tmp_path) as api:
        items = [{"document": OTHER, "journey": AIR}] * count
        problem = await api.post("/v1/check/batch", {"items": items}, status=400)
        assert problem["errors"][0]["field"] == "items"


async def test_a_check_needs_its_scope_and_its_method(valkey: Server, tmp_path: Path) -> None:
    async with desk(valkey, tmp_path) as api:
        assert (await api.client.get("/v1/check")).status_code == 405
        api.client.headers.update(bearer(await make_key(api.service.settings, ["ops"])))
        problem = await api.post("/v1/check", {"document": OTHER, "journey": AIR}, status=403)
        assert "check" in problem["detail"]
        del api.client.headers["authorization"]
        await api.post("/v1/check", {"document": OTHER, "journey": AIR}, status=401)


async def test_a_body_beyond_4_mib_is_a_413(valkey: Server, tmp_path: Path) -> None:
    async with desk(valkey, tmp_path) as api:
        answer = await api.client.post("/v1/check", content=b" " * (4 * 1024 * 1024 + 1))
        assert answer.status_code == 413
        assert answer.headers["content-type"] == "application/problem+json"


async def test_at_least_sees_a_change_that_no_doorbell_told(valkey: Server, tmp_path: Path) -> None:
    async with desk(valkey, tmp_path) as api:
        position = (await api.change(edit("put")))["position"]
        assert (await api.check(LISTED, at_least=position))["decision"] == "deny"
        assert (await api.check(LISTED, at_least=[position]))["decision"] == "deny"


async def test_a_disabled_list_refers(valkey: Server, tmp_path: Path) -> None:
    async with desk(valkey, tmp_path) as api:
        await api.change(edit("put"), wait="all")
        api.service.desk.disabled = frozenset({1})
        answer = await api.check(LISTED)
        assert (answer["decision"], answer["reasons"][0]["code"]) == ("refer", "list_disabled")


async def test_standing_says_what_has_to_end(valkey: Server, tmp_path: Path) -> None:
    async with desk(valkey, tmp_path) as api:
        await api.change(edit("put", entry=ENTRY), wait="all")
        standing = await api.post("/v1/standing", {"document": LISTED})
        assert standing["standing"] == "restricted"
        assert {"mode": "air"} in standing["forbidden"]
        assert standing["remaining"][0]["case"] == ENTRY["case"]
        free = await api.post("/v1/standing", {"document": OTHER})
        assert (free["standing"], free["forbidden"], free["remaining"]) == ("clear", [], [])


async def test_whoever_reads_every_train_in_a_star_is_told_which_are_not_meant(
    valkey: Server, tmp_path: Path
) -> None:
    """`trains: ["*"]` once had a ticket of a G train sold, which was forbidden."""
    async with desk(valkey, tmp_path) as api:
        await api.change(edit("put"), wait="all")
        denied = await api.check(LISTED, {"mode": "rail", "train": "G101", "seat": "9"})
        standing = await api.post("/v1/standing", {"document": LISTED})
    known = set("GDC")
    for told in (denied["allowed_instead"], standing["permitted"], standing["forbidden"]):
        rail = [product for product in told if product["mode"] == "rail"]
        starred = [product for product in rail if "*" in product["trains"]]
        assert starred
        for product in rail:
            excepted = known - set(product["trains"]) if product in starred else set()
            assert set(product.get("except_trains", [])) == excepted
