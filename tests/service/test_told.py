"""What developers are told of a slip, so that they need not guess; the status says no more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from roster.documents.identity import KINDS
from tests.service.apps import bearer, make_key, settings_for
from tests.service.rosters import AIR, OTHER, desk, edit
from tests.service.test_sandbox import make_test_key

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers import Server

CHECK = "/v1/check"
KIND = "one of " + ", ".join(sorted(KINDS))
FORM = (
    "what stands in Authorization has not the form of a key: Bearer cw_..., whole, without quotes"
)
NO_DOCUMENT = {"type": "other", "number": "X1"}


async def test_a_damaged_key_is_no_missing_one(valkey: Server, tmp_path: Path) -> None:
    async with desk(valkey, tmp_path) as api:
        key = await make_key(settings_for(valkey, tmp_path))
        for shown, told in {
            f"Bearer {key[:-2]}": FORM,
            f'Bearer "{key}"': FORM,
            f"Bearer '{key}'": FORM,
            key: FORM,
            "Basic Y2xlYXJ3YXk6": FORM,
            "Bearer": FORM,
            "": "an API key is required: Authorization: Bearer cw_...",
            f"Bearer {key[:-2]}xx": "this API key is unknown, expired or revoked",
        }.items():
            for path in (CHECK, "/v1/standing"):
                answer = await api.client.post(path, json={}, headers={"authorization": shown})
                assert (answer.status_code, answer.json()["detail"]) == (401, told), shown
                assert key[3:] not in answer.text


@pytest.mark.parametrize(
    ("path", "body", "faults"),
    [
        (
            CHECK,
            {"document": OTHER, "journey": AIR | {"cabin": "Y"}},
            {"journey.cabin": "does not go with mode air"},
        ),
        (
            CHECK,
            {"document": OTHER, "journey": {"mode": "ship", "seat": 7, "cabin": "Y"}},
            {
                "journey.seat": "does not go with mode ship",
                "journey.cabin": "not one of special, first, second, third, fourth, fifth, seat",
            },
        ),
        (
            CHECK,
            {"document": {"type": "resident_id", "number": 110105187001010012}, "journey": AIR},
            {"document.number": "expected `str`, got `int`: a text stands in quotes"},
        ),
        (
            CHECK,
            {"document": NO_DOCUMENT, "journey": AIR},
            {
                "document.issuer": "required: the issuing state's three-letter code",
                "document.kind": f"required: {KIND}",
            },
        ),
        (
            "/v1/standing",
            {"document": NO_DOCUMENT | {"kind": "visa", "issuer": "CHN"}, "departs_at": "soon"},
            {"document.kind": f"not {KIND}", "departs_at": ""},
        ),
    ],
)
async def test_a_fault_is_told_as_what_it_is(
    valkey: Server, tmp_path: Path, path: str, body: dict[str, Any], faults: dict[str, str]
) -> None:
    async with desk(valkey, tmp_path) as api:
        problem = await api.post(path, body, status=400)
        told = {each["field"]: each["message"] for each in problem["errors"]}
        assert len(problem["errors"]) == len(told)
        assert told.keys() == faults.keys()
        assert [each for each in faults if not told[each].startswith(faults[each])] == []
        if path == CHECK:
            batch = await api.post("/v1/check/batch", {"items": [body]})
            assert batch["results"][0]["error"]["errors"] == problem["errors"]


async def test_a_change_is_told_what_its_document_lacks(valkey: Server, tmp_path: Path) -> None:
    async with desk(valkey, tmp_path) as api:
        (result,) = (await api.change(edit("put", document=NO_DOCUMENT)))["results"]
        fields = [each["field"] for each in result["errors"]]
        assert fields == ["document.issuer", "document.kind"]


@pytest.mark.parametrize("path", [CHECK, "/v1/check/batch", "/v1/standing", "/v1/changes"])
async def test_what_is_no_json_is_told_by_its_beginning(
    valkey: Server, tmp_path: Path, path: str
) -> None:
    async with desk(valkey, tmp_path) as api:
        for body, told in {
            b"": "the body is empty: JSON is expected",
            b" \r\n": "the body is empty: JSON is expected",
            b"\xef\xbb\xbf{}": "a byte order mark begins the body: send JSON in UTF-8, without",
            b"\xff\xfe{\0}\0": "a byte order mark begins the body: send JSON in UTF-8, without",
            b"document=110105187001010012": "the body is a form: send JSON",
            b"{": "the body is not JSON in UTF-8, or is nested too deeply",
            b'{"name": "\xff"}': "the body is not JSON in UTF-8, or is nested too deeply",
        }.items():
            answer = await api.client.post(path, content=body)
            assert (answer.status_code, answer.json()["detail"]) == (400, told)


async def test_a_key_in_the_address_is_told_where_keys_go(valkey: Server, tmp_path: Path) -> None:
    async with desk(valkey, tmp_path) as api:
        key = await make_key(settings_for(valkey, tmp_path))
        for query in (f"?key={key}", "?api_key=x", f"?anything={key}", "?access_token=y"):
            for method, path in (("POST", CHECK), ("GET", "/v1/changes"), ("GET", "/v1/roster")):
                answer = await api.client.request(method, path + query)
                assert answer.status_code == 400
                (error,) = answer.json()["errors"]
                assert error["field"] == "query"
                assert "goes into the header Authorization" in error["message"]
                assert key not in answer.text


@pytest.mark.parametrize(
    ("method", "path", "takes"),
    [
        ("GET", CHECK, "POST"),
        ("GET", "/v1/check/batch", "POST"),
        ("GET", "/v1/standing", "POST"),
        ("POST", "/v1/roster", "GET, HEAD"),
    ],
)
async def test_another_method_is_told_the_right_one(
    valkey: Server, tmp_path: Path, method: str, path: str, takes: str
) -> None:
    async with desk(valkey, tmp_path) as api:
        answer = await api.client.request(method, path)
        assert answer.status_code == 405
        assert answer.json()["detail"].startswith(f"this path takes {takes}")


async def test_a_test_key_is_told_that_no_scope_would_help(valkey: Server, tmp_path: Path) -> None:
    async with desk(valkey, tmp_path) as api:
        key = await make_test_key(settings_for(valkey, tmp_path))
        answer = await api.client.get("/v1/key", headers=bearer(key))
        assert answer.status_code == 403
        assert "list:" not in answer.text
        assert "a test key may check" in answer.json()["detail"]
