"""Every answer says how little a browser may do with it; the pages load and run only their own."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.service.served import LISTED, Caller, Served

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers import Server

FRAMED = "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
PAGES = ("/", "/schema")
FILES = ("/schema/files/page.js", "/schema/files/icon.svg", "/schema/openapi.json")
FIGURES = ("/v1/roster", "/metrics", "/readyz", "/healthz", "/v1/audit", "/v1/changes")
REFUSED = {
    "GET /nowhere": 404,
    "PUT /v1/check": 405,
    "GET /v1/changes?limit=none": 400,
    "POST /v1/check": 400,
}


def safe(caller: Caller, request: bytes, status: int) -> dict[str, str]:
    """The headers of an answer, each of which stands there once, but for the policies."""
    caller.send(request)
    told, headers, _ = caller.answer()
    assert told == status
    assert headers["x-content-type-options"] == "nosniff"
    assert "content-security-policy" in headers
    assert "server" not in headers
    return headers


@pytest.fixture
def service(valkey: Server, tmp_path: Path) -> Served:
    found = Served(valkey, tmp_path)
    found.cover()
    return found


def test_every_answer_says_how_little_a_browser_may_do_with_it(service: Served) -> None:
    with service.running() as running:
        with running.connect() as caller:
            for path in (*FIGURES, *FILES):
                for method in ("GET", "POST"):
                    status = 200 if method == "GET" else 405
                    if (method, path) == ("POST", "/v1/changes"):
                        status = 400
                    headers = safe(caller, caller.request(method, path), status)
                    assert headers["content-security-policy"] == FRAMED
            for request, status in REFUSED.items():
                method, path = request.split(" ")
                headers = safe(caller, caller.request(method, path), status)
                assert headers["content-security-policy"] == FRAMED
                assert headers["cache-control"] == "no-store"
            answered = safe(caller, caller.check(LISTED), 200)
            assert answered["cache-control"] == "no-store"
        for what, status in ((b"no HTTP\r\n\r\n", 400), (b"GET / HTTP/1.1\r\nA B: c\r\n\r\n", 400)):
            with running.connect() as caller:
                safe(caller, what, status)
        with Caller(running.port, "nobody") as caller:
            assert safe(caller, caller.check(), 401)["cache-control"] == "no-store"


def test_the_pages_may_load_and_run_only_what_is_their_own(service: Served) -> None:
    with service.running() as running, running.client() as client:
        for path in PAGES:
            page = client.get(path)
            assert page.headers.get_list("x-content-type-options") == ["nosniff"]
            own, framed = sorted(page.headers.get_list("content-security-policy"), reverse=True)
            assert framed == FRAMED
            policy = dict(each.split(" ", 1) for each in own.split("; "))
            assert policy["default-src"] == "'self'"
            assert "script-src" not in policy
            assert page.headers["referrer-policy"] == "no-referrer"
            assert re.findall(r"<script(?![^>]* src=)|\son\w+=|javascript:", page.text) == []
