"""What holds for every route: HEAD, query parameters, nulls, and faults that are told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from service.openapi.openapi import ROUTES
from service.web import shapes
from service.web.faults import faults
from tests.service.apps import running, settings_for

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers import Server

PERSON = {"type": "resident_id", "number": "110105180001010010"}
PASSPORT = {"type": "passport", "number": "E12345678", "issuer": "CHN"}
PAGES = ("/", "/schema", "/schema/openapi.json", "/schema/files/page.css")
GETS = (*(route.path for route in ROUTES if route.method == "get"), *PAGES)
ENTRY_FIELDS = (
    *("name", "names", "from", "until", "case", "court"),
    *("lifts", "cases", "modes", "kind"),
)
NULLS = [
    (
        "/v1/check",
        {
            "document": {**PERSON, "issuer": None, "kind": None},
            "journey": {
                "mode": "air",
                "train": None,
                "seat": None,
                "cabin": None,
                "departs_at": None,
            },
            "name": None,
            "at_least": None,
            "reference": None,
        },
    ),
    (
        "/v1/check/batch",
        {
            "items": [{"document": PERSON, "journey": None, "name": None, "at_least": None}],
            "journey": {"mode": "air"},
            "at_least": None,
        },
    ),
    ("/v1/standing", {"document": PERSON, "name": None, "departs_at": None}),
    ("/v1/entries/find", {"document": {**PASSPORT, "kind": None}}),
    ("/v1/entries/history", {"document": PERSON, "list": None, "entry_id": None}),
    (
        "/v1/changes",
        {
            "changes": [
                {
                    "op": "put",
                    "list": "sx",
                    "entry_id": "e",
                    "revision": 1_514_764_800_000,
                    "document": PERSON,
                    "documents": None,
                    "decided_at": None,
                    "reason": None,
                    "replaces": None,
                    "entry": dict.fromkeys(ENTRY_FIELDS),
                },
                {
                    "op": "remove",
                    "list": "sx",
                    "entry_id": "e",
                    "revision": None,
                    "document": PERSON,
                    "entry": None,
                    "reason": None,
                },
            ],
            "wait": None,
            "timeout_ms": None,
        },
    ),
]


async def test_every_get_route_answers_head_without_a_body(valkey: Server, tmp_path: Path) -> None:
    async with running(settings_for(valkey, tmp_path)) as client:
        for path in GETS:
            got, head = await client.get(path), await client.head(path)
            assert head.status_code == got.status_code, path
            assert head.content == b""
            assert head.headers["content-type"] == got.headers["content-type"]
            assert "content-length" in head.headers
        assert (await client.head("/v1/check")).status_code == 405
        assert (await client.head("/nowhere")).status_code == 404


async def test_what_takes_get_says_that_it_takes_head(valkey: Server, tmp_path: Path) -> None:
    async with running(settings_for(valkey, tmp_path)) as client:
        for path in GETS:
            for method in ("DELETE", "OPTIONS"):
                answer = await client.request(method, path)
                allowed = answer.headers["allow"].split(", ")
                assert {"GET", "HEAD"} <= set(allowed), (method, path)
                assert len(set(allowed)) == len(allowed), (method, path)
        assert "HEAD" not in (await client.delete("/v1/check")).headers["allow"]


@pytest.mark.parametrize(
    ("method", "path", "field"),
    [
        ("POST", "/v1/changes?wait=all", "wait"),
        ("POST", "/v1/check?name=ZHANG", "name"),
        ("GET", "/readyz?verbose=1", "query"),
        ("GET", "/healthz?11010518491231002X", "query"),
        ("HEAD", "/healthz?zhang_sanfeng=1", ""),
        ("GET", "/v1/changes?zhang_sanfeng=1", "query"),
        ("GET", "/v1/changes?limit=1&limit=2", "limit"),
        ("GET", "/v1/roster?limit=", "limit"),
        ("POST", "/v1/entries/find?list=sx", "list"),
        ("GET", "/metrics?limit=1", "limit"),
        ("GET", "/?x=1", "query"),
    ],
)
async def test_a_query_parameter_that_nobody_knows_is_refused(
    valkey: Server, tmp_path: Path, method: str, path: str, field: str
) -> None:
    async with running(settings_for(valkey, tmp_path)) as client:
        answer = await client.request(method, path, json={} if method == "POST" else None)
    assert answer.status_code == 400
    for sent in ("ZHANG", "zhang", "11010518491231002X", "verbose"):
        assert sent not in answer.text
    if field:
        assert answer.json()["errors"][0]["field"] == field


@pytest.mark.parametrize(("path", "body"), NULLS, ids=[path for path, _ in NULLS])
async def test_null_for_an_optional_field_is_as_if_it_were_not_there(
    valkey: Server, tmp_path: Path, path: str, body: dict[str, Any]
) -> None:
    async with running(settings_for(valkey, tmp_path)) as client:
        answer = await client.post(path, json=body)
        assert answer.status_code == 200, answer.text
        outcomes = [
            each["outcome"] for each in answer.json().get("results", ()) if "outcome" in each
        ]
        assert outcomes in ([], ["applied", "applied"])


def optional_fields() -> list[tuple[type[msgspec.Struct], str]]:
    structs = [each for each in vars(shapes).values() if isinstance(each, type)]
    return [
        (struct, field.encode_name)
        for struct in structs
        if issubclass(struct, msgspec.Struct)
        for field in msgspec.structs.fields(struct)
        if not field.required
    ]


@pytest.mark.parametrize(("struct", "name"), optional_fields())
def test_every_field_that_may_be_left_out_may_be_null(
    struct: type[msgspec.Struct], name: str
) -> None:
    assert [each for each in faults({name: None}, struct) if each.field == name] == []


async def test_several_faults_are_told_together(valkey: Server, tmp_path: Path) -> None:
    body = {
        "document": {"type": "visa", "number": "", "zhang_sanfeng": 1},
        "journey": {"mode": "rail", "seat": ["O", 7, "much too long"]},
        "at_least": 5,
        "11010518491231002X": 1,
    }
    async with running(settings_for(valkey, tmp_path)) as client:
        shape = await client.post("/v1/check", json=body)
        meaning = await client.post(
            "/v1/check",
            json={
                "document": {"type": "passport", "number": "E1"},
                "journey": {"mode": "rail", "train": "??", "seat": "???", "departs_at": "soon"},
                "at_least": "nonsense",
            },
        )
    assert [each["field"] for each in shape.json()["errors"]] == [
        *("", "document", "document.type", "document.number"),
        *("journey.seat[1]", "journey.seat[2]", "at_least", "journey.train"),
    ]
    assert "zhang" not in shape.text
    assert "11010518491231002X" not in shape.text
    assert [each["field"] for each in meaning.json()["errors"]] == [
        *("document.issuer", "journey.train", "journey.seat", "journey.departs_at", "at_least"),
    ]


async def test_the_faults_of_one_change_are_told_together(valkey: Server, tmp_path: Path) -> None:
    change = {"op": "put", "list": 5, "revision": -1, "document": {"type": "passport"}}
    async with running(settings_for(valkey, tmp_path)) as client:
        answer = await client.post(
            "/v1/changes", json={"changes": [{**change, "list": "sx", "entry_id": ""}]}
        )
    (result,) = answer.json()["results"]
    assert result["outcome"] == "rejected"
    assert [each["field"] for each in result["errors"]] == [
        *("entry_id", "revision", "document.number", "entry"),
    ]


async def test_what_is_meant_wrongly_in_one_change_is_told_together(
    valkey: Server, tmp_path: Path
) -> None:
    change = {
        "op": "put",
        "list": "nowhere",
        "entry_id": " ",
        "document": {"type": "passport", "number": "E1"},
        "decided_at": "soon",
        "entry": {
            "case": PERSON["number"],
            "name": PERSON["number"],
            "until": "never",
            "lifts": ["nowhere"],
        },
        "replaces": [{"type": "other", "number": "1", "issuer": "CHN"}],
    }
    async with running(settings_for(valkey, tmp_path)) as client:
        answer = await client.post("/v1/changes", json={"changes": [change]})
        standing = await client.post(
            "/v1/standing", json={"document": change["document"], "departs_at": "soon"}
        )
    (result,) = answer.json()["results"]
    assert {each["field"] for each in result["errors"]} == {
        *("entry.case", "entry.name", "entry.until", "entry.lifts"),
        *("revision", "decided_at", "list", "document.issuer", "entry_id", "replaces[0].kind"),
    }
    fields = [each["field"] for each in standing.json()["errors"]]
    assert fields == ["document.issuer", "departs_at"]
    assert PERSON["number"] not in answer.text


async def test_metrics_state_their_content_type_once(valkey: Server, tmp_path: Path) -> None:
    async with running(settings_for(valkey, tmp_path)) as client:
        answer = await client.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
