"""The OpenAPI document is what the service does: its examples are taken, its shapes answered."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import jsonschema_rs
import msgspec
import openapi_python_client
import pytest

from roster.documents.identity import KINDS
from service.openapi.documented import ReasonCode
from service.openapi.examples import examples
from service.openapi.openapi import ROUTES, document
from tests.service.rosters import LISTED, OTHER, Desk, desk, edit
from tests.service.served import Served
from tests.test_api_page import codes

if TYPE_CHECKING:
    import httpx

    from tests.servers import Server

DESCRIBED = json.loads(msgspec.json.encode(document()))
BY_NAME = {route.name: route for route in ROUTES}
RAIL = {"mode": "rail", "train": "G101", "seat": ["O", "9"]}


def validator(schema: dict[str, Any]) -> jsonschema_rs.Validator:
    """What accepts bodies of this schema, and times of RFC 3339 only where it says so."""
    whole = {"components": DESCRIBED["components"], **schema}
    return jsonschema_rs.Draft202012Validator(whole, validate_formats=True)


def asked(name: str) -> jsonschema_rs.Validator:
    route = BY_NAME[name]
    body = DESCRIBED["paths"][route.path][route.method]["requestBody"]
    return validator(body["content"]["application/json"]["schema"])


def answered(name: str, status: int = 200) -> jsonschema_rs.Validator:
    route = BY_NAME[name]
    answer = DESCRIBED["paths"][route.path][route.method]["responses"][str(status)]
    (content,) = answer["content"].values()
    return validator(content["schema"])


def fits(name: str, answer: httpx.Response, status: int = 200) -> Any:  # noqa: ANN401 -- JSON
    """The answer's JSON, once its status is this and its shape is as it is described."""
    assert answer.status_code == status, (name, answer.status_code)
    answered(name, status).validate(answer.json())
    return answer.json()


def test_every_reason_code_is_in_the_enum_and_has_its_answer() -> None:
    assert set(get_args(ReasonCode)) == codes()
    told = [one.value["reasons"] for one in examples().answers["check"].values()]
    assert {reason["code"] for reasons in told for reason in reasons} == codes()


@pytest.mark.parametrize(
    ("shape", "fields"),
    [
        ("Document", {"number", "issuer", "kind"}),
        ("RailJourney", {"train", "seat", "departs_at"}),
        ("Check", {"name", "reference", "at_least"}),
        ("Item", {"name", "reference", "at_least"}),
        ("Answer", {"subject", "reference", "stale", "seats", "warnings"}),
        ("ProductReply", {"except_trains"}),
        ("Logged", {"subject"}),
    ],
)
def test_what_a_name_does_not_say_is_described(shape: str, fields: set[str]) -> None:
    properties = DESCRIBED["components"]["schemas"][shape]["properties"]
    assert [field for field in fields if not properties[field].get("description")] == []


def test_the_kinds_of_other_documents_are_an_enum() -> None:
    kind = DESCRIBED["components"]["schemas"]["Document"]["properties"]["kind"]
    assert [each["enum"] for each in kind["oneOf"] if "enum" in each] == [sorted(KINDS)]
    wrong = {
        "document": {"type": "other", "number": "1", "kind": "visa"},
        "journey": {"mode": "air"},
    }
    assert not asked("check").is_valid(wrong)
    wrong["document"]["kind"] = "military"
    assert asked("check").is_valid(wrong)


def test_every_operation_has_a_name_a_tag_and_examples() -> None:
    tags = {tag["name"] for tag in DESCRIBED["tags"]}
    assert len(BY_NAME) == len(ROUTES)
    for route in ROUTES:
        operation = DESCRIBED["paths"][route.path][route.method]
        assert re.fullmatch("[a-z_]+", operation["operationId"])
        assert set(operation["tags"]) <= tags
        if route.asked:
            assert operation["requestBody"]["content"]["application/json"]["examples"]
            assert operation["responses"]["200"]["content"]["application/json"]["examples"]
        for status in operation["responses"].keys() & {"429", "503"}:
            if route.name != "readiness":
                assert "Retry-After" in operation["responses"][status]["headers"]


@pytest.mark.parametrize("name", examples().answers)
def test_an_examples_answer_is_as_its_schema_says(name: str) -> None:
    route = BY_NAME[name]
    assert route.answered is not None
    known = {field.encode_name for field in msgspec.structs.fields(route.answered)}
    for one in examples().answers[name].values():
        answered(name).validate(one.value)
        assert set(one.value) <= known


def test_an_examples_problem_is_as_its_schema_says() -> None:
    for status, some in examples().problems.items():
        for one in some.values():
            answered("read_changes", int(status)).validate(one.value)
            assert one.value["status"] == int(status)


async def test_every_example_of_a_request_is_taken(valkey: Server, tmp_path: Path) -> None:
    async with desk(valkey, tmp_path) as api:
        for name, some in examples().requests.items():
            for one in some.values():
                asked(name).validate(one.value)
                path = BY_NAME[name].path
                answer = fits(name, await api.client.post(path, json=one.value))
                assert "rejected" not in json.dumps(answer), (name, one.summary)


@pytest.mark.parametrize(
    "journey",
    [
        {"mode": "rail", "train": "G101"},
        {"mode": "rail", "seat": "O"},
        {"mode": "ship"},
        {"mode": "air", "train": "G101", "seat": "O"},
        {"mode": "ship", "cabin": "second", "seat": "O"},
        {"mode": "bus"},
        {},
    ],
)
async def test_a_journey_that_is_no_mode_of_the_union_is_refused(
    journey: dict[str, Any], valkey: Server, tmp_path: Path
) -> None:
    body = {"document": OTHER, "journey": journey}
    assert not asked("check").is_valid(body)
    async with desk(valkey, tmp_path) as api:
        problem = fits("check", await api.client.post("/v1/check", json=body), 400)
        assert problem["status"] == 400


async def test_who_says_a_word_that_is_none_of_ours_is_told_which_there_are(
    valkey: Server, tmp_path: Path
) -> None:
    document = {"type": "idcard", "number": OTHER["number"]}
    changes = [edit("remove", 3, reason="paid"), edit("raise", 3)]
    async with desk(valkey, tmp_path) as api:
        body = {"document": document, "journey": {"mode": "bus"}}
        problem = (await api.client.post("/v1/check", json=body)).json()
        told = {fault["field"]: fault["message"] for fault in problem["errors"]}
        known = (
            "resident_id, permanent_resident_id, hk_macao_permit, taiwan_permit, passport, other"
        )
        assert told["document.type"] == f"not one of {known}"
        assert told["journey.mode"] == "not one of air, rail, ship"
        answer = (await api.client.post("/v1/changes", json={"changes": changes[:1]})).json()
        (fault,) = answer["results"][0]["errors"]
        assert fault["message"].startswith("not one of performed, settled, creditor_request")
        refused = (await api.client.post("/v1/changes", json={"changes": changes[1:]})).json()
        assert refused["status"] == 400
        assert "put, remove, suspend" in json.dumps(refused["errors"])


async def answers(api: Desk) -> None:
    """Ask for all there is of a listed person, and for what is said of the service."""
    put = {"changes": [edit("put", entry={"name": "张某某", "court": "某某法院"})], "wait": "all"}
    changed = fits("apply_changes", await api.client.post("/v1/changes", json=put))
    assert changed["processes"]["missing"] == []
    check = {"document": LISTED, "journey": RAIL, "name": "张某某", "reference": "r"}
    denied = fits("check", await api.client.post("/v1/check", json=check))
    assert denied["decision"] == "deny"
    batch = {"items": [check, {"document": OTHER}, {}], "journey": {"mode": "air"}}
    fits("check_batch", await api.client.post("/v1/check/batch", json=batch))
    fits("standing", await api.client.post("/v1/standing", json={"document": LISTED}))
    for name, path in (("find_entries", "find"), ("entry_history", "history")):
        fits(name, await api.client.post(f"/v1/entries/{path}", json={"document": LISTED}))
    of_service = ("read_roster", "read_trend", "read_key", "health", "readiness")
    for name in ("read_changes", "read_audit", *of_service):
        fits(name, await api.client.get(BY_NAME[name].path))


async def test_what_is_answered_is_as_it_is_described(valkey: Server, tmp_path: Path) -> None:
    async with desk(valkey, tmp_path) as api:
        await answers(api)
        refused = await api.client.post("/v1/check", json={})
        fits("check", refused, 400)
        with pytest.raises(AssertionError):
            fits("check", refused)
        del api.client.headers["authorization"]
        fits("check", await api.client.post("/v1/check", json={}), 401)


def test_a_client_made_from_the_document_asks_and_understands(
    valkey: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    described = tmp_path / "openapi.json"
    described.write_text(json.dumps(DESCRIBED))
    module = [sys.executable, "-m", openapi_python_client.__name__]
    make = [*module, "generate", "--fail-on-warning", "--meta", "none"]
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=":")
    paths = ["--path", str(described), "--output-path", str(tmp_path / "generated_client")]
    subprocess.run([*make, *paths], check=True, capture_output=True, cwd=tmp_path, timeout=60)
    monkeypatch.syspath_prepend(tmp_path)
    made = import_module("generated_client")
    models = import_module("generated_client.models")
    check = import_module("generated_client.api.checks.check")
    served = Served(valkey, tmp_path)
    served.cover()
    with served.running() as service:
        client = made.AuthenticatedClient(base_url=service.url, token=service.key)
        card, passport = models.DocumentType("resident_id"), models.DocumentType("passport")
        document = models.Document(type_=card, number=OTHER["number"])
        rail = models.RailJourney(models.RailJourneyMode.RAIL, train="G101", seat=["O", "9"])
        with client:
            answer = check.sync(client=client, body=models.Check(document, rail))
            assert isinstance(answer, models.Answer)
            assert (answer.decision, answer.reasons) == ("allow", [])
            assert abs(answer.fresh_as_of - datetime.now(UTC)) < timedelta(minutes=1)
            air = models.AirJourney(models.AirJourneyMode.AIR)
            nobody = models.Document(type_=passport, number="E18000001")
            refused = check.sync(client=client, body=models.Check(nobody, air))
        assert isinstance(refused, models.Problem)
        assert [fault.field for fault in refused.errors] == ["document.issuer"]
