"""A seat code or train letter that the lists do not know is told to everybody."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING, Any

import pytest

from roster.documents.check_digits import check_digit
from tests.service.apps import running, settings_for
from tests.service.rosters import AIR, LISTED, OTHER, desk, edit

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers import Server

KNOWN: list[dict[str, Any]] = [
    AIR,
    {"mode": "ship", "cabin": "fifth"},
    {"mode": "rail", "train": "G101", "seat": "O"},
    {"mode": "rail", "train": "1461", "seat": ["1", "3"]},
    {"mode": "rail", "train": "d7", "seat": "wz"},
    {"mode": "rail", "train": "K7", "seat": "0"},  # known, though what it is nobody can say
]
UNKNOWN: list[dict[str, Any]] = [
    {"mode": "rail", "train": "G101", "seat": "Z"},
    {"mode": "rail", "train": "G101", "seat": "ＺＺ"},
    {"mode": "rail", "train": "G101", "seat": "R9"},
    {"mode": "rail", "train": "1461", "seat": ["1", "YZ"]},
    {"mode": "rail", "train": "S101", "seat": "O"},
    {"mode": "rail", "train": "x9", "seat": "1"},
]
WARNED = ["product_unknown"]


def strangers(count: int) -> list[dict[str, Any]]:
    numbers = (f"11010518700101{n:03}" for n in range(count))
    return [
        {"document": {"type": "resident_id", "number": n + check_digit(n)}, "reference": n[-3:]}
        for n in numbers
    ]


@pytest.mark.parametrize("journey", UNKNOWN)
async def test_an_unknown_product_is_told_to_the_listed_and_to_the_cleared(
    valkey: Server, tmp_path: Path, journey: dict[str, Any]
) -> None:
    async with desk(valkey, tmp_path) as api:
        await api.change(edit("put"), wait="all")
        refused = await api.check(LISTED, journey)
        assert refused["decision"] in {"refer", "deny"}
        assert refused["warnings"] == WARNED
        cleared = await api.check(OTHER, journey)
        assert (cleared["decision"], cleared["warnings"]) == ("allow", WARNED)
        nobody = {"type": "resident_id", "number": "1"}
        invalid = await api.check(nobody, journey)
        assert (invalid["decision"], invalid["warnings"]) == ("refer", WARNED)


async def test_a_denial_that_needs_no_seat_table_warns_too(valkey: Server, tmp_path: Path) -> None:
    async with desk(valkey, tmp_path) as api:
        await api.change(edit("put", list="ndrc-rail-conduct"), wait="all")
        answer = await api.check(LISTED, UNKNOWN[0])
        assert (answer["decision"], answer["warnings"]) == ("deny", WARNED)


async def test_what_the_lists_know_warns_nobody(valkey: Server, tmp_path: Path) -> None:
    async with desk(valkey, tmp_path) as api:
        await api.change(edit("put"), wait="all")
        for journey in KNOWN:
            for document in (LISTED, OTHER):
                assert "warnings" not in await api.check(document, journey), journey
            body = {"items": [{"document": LISTED}, *strangers(20)], "journey": journey}
            results = (await api.post("/v1/check/batch", body))["results"]
            assert not [each for each in results if "warnings" in each], journey


@pytest.mark.parametrize("count", [2, 60])
@pytest.mark.parametrize("journey", UNKNOWN)
async def test_every_answer_of_a_batch_warns_swept_or_not(
    valkey: Server, tmp_path: Path, count: int, journey: dict[str, Any]
) -> None:
    async with desk(valkey, tmp_path) as api:
        await api.change(edit("put"), wait="all")
        plain = [{"document": each["document"]} for each in strangers(count)]
        named = [each | {"name": "张三"} for each in strangers(count)]
        items = [{"document": LISTED}, *plain, *named, {"document": OTHER, "journey": AIR}]
        body = {"items": items, "journey": journey}
        *shared, flying = (await api.post("/v1/check/batch", body))["results"]
        assert [each["warnings"] for each in shared] == [WARNED] * len(shared)
        assert "warnings" not in flying
        own = [each | {"journey": journey} for each in plain]
        results = (await api.post("/v1/check/batch", {"items": own, "journey": AIR}))["results"]
        assert [each["warnings"] for each in results] == [WARNED] * count


RESIDENT = str(LISTED["number"])
MISFILED: list[dict[str, Any]] = [
    {"type": "other", "issuer": "CHN", "kind": "military", "number": RESIDENT},
    {
        "type": "other",
        "issuer": "USA",
        "kind": "other",
        "number": f" {RESIDENT[:6]}-{RESIDENT[6:]}",
    },
    {"type": "passport", "issuer": "USA", "number": RESIDENT},
    {"type": "passport", "issuer": "CHN", "number": RESIDENT},
    {"type": "taiwan_permit", "number": RESIDENT},
]
FILED: list[dict[str, Any]] = [
    LISTED,
    OTHER,
    {"type": "passport", "issuer": "USA", "number": "E1234567"},
    {"type": "other", "issuer": "CHN", "kind": "military", "number": "军字第123456号"},
    {"type": "other", "issuer": "CHN", "kind": "military", "number": RESIDENT[:17] + "A"},
    {
        "type": "other",
        "issuer": "CHN",
        "kind": "other",
        "number": f"{RESIDENT[:6]} {RESIDENT[8:17]} ",
    },
    {"type": "passport", "issuer": "USA", "number": " " * 20},
    {"type": "resident_id", "number": RESIDENT[:17] + "A"},
]


@pytest.mark.parametrize("count", [1, 60])
async def test_a_resident_number_of_another_type_is_warned_of(
    valkey: Server, tmp_path: Path, count: int
) -> None:
    """A listed person would be allowed: the list has the number as a resident ID's."""
    async with desk(valkey, tmp_path) as api:
        await api.change(edit("put"), wait="all")
        for document in MISFILED:
            answer = await api.check(document, AIR)
            assert answer["warnings"] == ["resident_number"], document
            both = await api.check(document, UNKNOWN[0])
            assert both["warnings"] == ["product_unknown", "resident_number"]
        items = [{"document": each} for each in [*MISFILED, *FILED]] * count
        results = (await api.post("/v1/check/batch", {"items": items, "journey": AIR}))["results"]
        told = [each.get("warnings") for each in results]
        assert told == [*[["resident_number"]] * len(MISFILED), *[None] * len(FILED)] * count


async def test_an_unknown_product_is_told_also_where_nothing_is_covered(
    valkey: Server, tmp_path: Path
) -> None:
    async with running(settings_for(valkey, tmp_path)) as client:
        body = {"document": OTHER, "journey": UNKNOWN[0]}
        answer = (await client.post("/v1/check", json=body)).json()
        assert answer["reasons"][0]["code"] == "not_covered"
        assert answer["warnings"] == WARNED


async def test_a_malformed_seat_or_train_is_still_a_400(valkey: Server, tmp_path: Path) -> None:
    async with desk(valkey, tmp_path) as api:
        for odd in ({"seat": "ABC"}, {"seat": "-"}, {"train": "GG1"}, {"train": "G"}):
            body = {"document": OTHER, "journey": {**KNOWN[2], **odd}}
            problem = await api.post("/v1/check", body, status=400)
            assert "warnings" not in problem


async def test_lists_of_ones_own_say_what_is_known(valkey: Server, tmp_path: Path) -> None:
    text = (resources.files("roster") / "lists.toml").read_text(encoding="utf-8")
    text = text.replace('WZ = "W"', 'WZ = "W"\nYZ = "1"')
    text = text.replace('letters = ["G"]', 'letters = ["G", "S"]')
    text = text.replace('"Y", "L", ""]', '"Y", "L"]')
    file = tmp_path / "lists.toml"
    file.write_text(text, encoding="utf-8")
    async with desk(valkey, tmp_path, lists_file=str(file)) as api:
        rail = {"mode": "rail", "seat": "YZ"}
        assert "warnings" not in await api.check(OTHER, {**rail, "train": "S101"})
        assert (await api.check(OTHER, {**rail, "train": "1461"}))["warnings"] == WARNED
        assert (await api.check(OTHER, {**rail, "train": "X1"}))["warnings"] == WARNED
