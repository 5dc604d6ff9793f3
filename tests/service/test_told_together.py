"""A fault of shape hides none of meaning: what is wrong with a body is told in one answer."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from roster.errors import InvalidBody
from service.deciding.questions import query_faults
from service.web.bodies import Body
from service.web.remainders import remainder
from service.web.shapes import Check, HistoryShape, Item, StandingShape
from tests.service.rosters import AIR, LISTED, OTHER, desk, edit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers import Server

CHECK, BATCH, STANDING, CHANGES = "/v1/check", "/v1/check/batch", "/v1/standing", "/v1/changes"
PASSPORT = {"type": "passport", "number": "K1234567"}
RAIL = {"mode": "rail", "train": "?", "seat": "???"}
MEANT = ["document.issuer", "journey.train", "journey.seat"]


@pytest.mark.parametrize(
    ("path", "body", "fields"),
    [
        (CHECK, {"document": PASSPORT, "journey": RAIL}, MEANT),
        (CHECK, {"document": PASSPORT, "journey": RAIL, "name": 5}, ["name", *MEANT]),
        (CHECK, {"document": PASSPORT, "journey": RAIL, "refrence": "a"}, ["", *MEANT]),
        (CHECK, {"document": PASSPORT, "journey": {"mode": "car"}}, ["journey.mode", MEANT[0]]),
        (CHECK, {"document": PASSPORT | {"nr": 1}, "journey": AIR}, ["document", MEANT[0]]),
        (CHECK, {"document": PASSPORT}, ["journey", MEANT[0]]),
        (CHECK, {"journey": RAIL, "at_least": "x"}, ["document", *MEANT[1:], "at_least"]),
        (
            CHECK,
            {"document": {"type": "passport", "number": 7}, "journey": RAIL},
            ["document.number", *MEANT[1:]],
        ),
        (
            CHECK,
            {"document": OTHER, "journey": RAIL | {"seat": ["O"] * 11, "departs_at": "x"}},
            ["journey.seat", "journey.train", "journey.departs_at"],
        ),
        (BATCH, {"items": [{"document": OTHER}], "at_least": "x", "wait": 1}, ["wait", "at_least"]),
        (BATCH, {"items": [], "at_least": "x"}, ["items", "at_least"]),
        (
            STANDING,
            {"document": PASSPORT, "departs_at": "x", "nmae": "y"},
            ["", MEANT[0], "departs_at"],
        ),
        (STANDING, {"departs_at": "x"}, ["document", "departs_at"]),
        ("/v1/entries/find", {"document": PASSPORT, "name": 5}, ["name", MEANT[0]]),
        (
            "/v1/entries/history",
            {"document": PASSPORT, "list": "x" * 100, "entry_id": "y" * 200},
            ["document.issuer", "list", "entry_id"],
        ),
        (
            CHANGES,
            {"changes": [{"op": "ptu", "list": "sx"}, {"op": "put"}], "wait": "never"},
            ["wait", "changes[0].op", "changes[1].list"],
        ),
    ],
)
async def test_every_fault_of_a_body_is_told(
    valkey: Server, tmp_path: Path, path: str, body: dict[str, Any], fields: list[str]
) -> None:
    async with desk(valkey, tmp_path) as api:
        problem = await api.post(path, body, status=400)
        told = [each["field"] for each in problem["errors"]]
        assert sorted(told) == sorted(fields)
        if path == CHECK:
            batch = await api.post(BATCH, {"items": [body]})
            found = [each["field"] for each in batch["results"][0]["error"]["errors"]]
            assert sorted(found) == sorted(fields)


async def test_an_item_with_a_fault_of_shape_takes_the_journey_of_its_batch(
    valkey: Server, tmp_path: Path
) -> None:
    async with desk(valkey, tmp_path) as api:
        items = [{"document": PASSPORT, "name": 5}, {"document": OTHER}]
        answer = await api.post(BATCH, {"items": items, "journey": AIR})
        first, second = answer["results"]
        assert [each["field"] for each in first["error"]["errors"]] == ["name", MEANT[0]]
        assert second["decision"] == "allow"


@pytest.mark.parametrize(
    ("more", "fields"),
    [
        ({"decidedat": 1}, ["", "revision", "decided_at"]),
        (
            {"entry": {"from": "x", "until": 7}},
            ["entry.until", "revision", "decided_at", "entry.from"],
        ),
        ({"document": PASSPORT, "entry": 5}, ["entry", "revision", "decided_at", MEANT[0]]),
        (
            {"replaces": [PASSPORT, LISTED | {"number": 1}, PASSPORT]},
            [
                "replaces[1].number",
                "revision",
                "decided_at",
                "replaces[0].issuer",
                "replaces[2].issuer",
            ],
        ),
    ],
)
async def test_every_fault_of_a_change_is_told(
    valkey: Server, tmp_path: Path, more: dict[str, Any], fields: list[str]
) -> None:
    async with desk(valkey, tmp_path) as api:
        wrong = edit("put", revision=2**47, decided_at="x", **more)
        (result,) = (await api.change(wrong))["results"]
        assert result["outcome"] == "rejected"
        assert sorted(each["field"] for each in result["errors"]) == sorted(fields)


PARTS: tuple[Any, ...] = (None, 5, "", "x" * 99, [], {}, [None], [{}], {"type": "passport"}, "rail")


def bent(value: Any, by: random.Random) -> Any:  # noqa: ANN401 -- JSON
    """The same with some parts of another shape."""
    if by.random() < 0.2:
        return by.choice(PARTS)
    if isinstance(value, dict):
        return {name: bent(each, by) for name, each in value.items() if by.random() < 0.9}
    return [bent(each, by) for each in value] if isinstance(value, list) else value


def bodies() -> Iterator[dict[str, Any]]:
    by = random.Random(7)
    whole = {
        "document": PASSPORT | {"issuer": "CHN"},
        "journey": {**RAIL, "seat": ["O", "1"], "departs_at": "2026-01-01"},
        "at_least": ["x"],
        "name": "y",
        "reference": "z",
    }
    for _ in range(2_000):
        if isinstance(body := bent(whole, by), dict):
            yield body


@pytest.mark.parametrize("shape", [Check, Item])
def test_whatever_its_shape_a_check_is_refused_in_order(shape: type[Check | Item]) -> None:
    reader = Body(shape)
    refused = 0
    for body in bodies():
        try:
            reader.decode(msgspec.json.encode(body), query_faults)
        except InvalidBody as exc:  # and nothing else
            refused += bool(exc.faults)
    assert refused > 1_000


def test_of_a_misshapen_body_all_is_left_that_is_in_shape() -> None:
    left = remainder({"document": OTHER, "departs_at": 5, "nmae": "x"}, StandingShape)
    assert left == StandingShape(document=msgspec.convert(OTHER, type=type(left.document)))
    assert remainder({"list": " sx ", "document": 5}, HistoryShape).list == "sx"
    assert remainder({}, HistoryShape).document is None
