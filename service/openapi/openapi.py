"""The OpenAPI 3.1 document, made from the same shapes that read the requests.

The hot path is raw ASGI, which Litestar does not describe; so all routes are described
here, in one table, and a test says that it is whole.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Any

import msgspec

from roster.storage.api_keys import MEANINGS
from service.openapi import audited, documented
from service.openapi.examples import answers, problems, requests
from service.openapi.parameters import AUDIT_PARAMETERS, LIVE_PARAMETERS, LOG_PARAMETERS, Parameters
from service.openapi.schemas import described
from service.openapi.trends import KeyAnswer, TrendAnswer
from service.sandbox.shown import table_json
from service.web import shapes
from service.web.problems import MEDIA_TYPE as PROBLEM_TYPE
from service.web.problems import Problem

_OPS = "operations"
_OPS_READ = "ops or ops:read"
_TAGS = {
    "checks": "May this traveller be sold this journey?",
    "changes": "The lists' edits, and who may travel again",
    "entries": "What the lists say of a document",
    "audit": "Who asked, what was answered, what was changed",
    _OPS: "Whether the service is well",
}
_DESCRIPTION = (
    "Whether a person may be sold a journey. Errors are RFC 9457 problems; no message "
    "repeats an ID number or a name."
)
_KEY = {
    "type": "http",
    "scheme": "bearer",
    "description": "An API key; which scopes it has says what it may do.",
    "x-scopes": MEANINGS,
}
_ERRORS = {
    "400": "malformed or invalid; `errors` names the fields",
    "401": "no key, or one that is unknown, expired or revoked",
    "403": "the key lacks a scope; it says which",
    "413": "a body over 4 MiB",
    "429": "the key's rate is used up, or too much is open; `Retry-After` says when to come back",
    "503": "not ready, or not acknowledged; `Retry-After` says when to come back",
}

_LATER = frozenset({"429", "503"})
_COME_BACK = {
    "Retry-After": {
        "description": "Seconds, rounded up; `retry_after_ms` of the problem is closer",
        "schema": {"type": "integer", "minimum": 1},
    }
}


class Route(msgspec.Struct, frozen=True):
    """One way to ask: what clients call it, the shapes of request and answer, the scope."""

    method: str
    path: str
    name: str
    tag: str
    summary: str
    scope: str | None
    asked: type | None
    answered: type | None
    parameters: Parameters = ()
    text: str = "text/plain"
    """What it answers with where that is no JSON."""


ROUTES = (
    Route(
        "post",
        "/v1/check",
        "check",
        "checks",
        "One traveller, one journey",
        "check",
        shapes.Check,
        documented.Answer,
    ),
    Route(
        "post",
        "/v1/check/batch",
        "check_batch",
        "checks",
        "Up to 1,000 checks, order kept",
        "check",
        shapes.BatchShape,
        documented.BatchAnswer,
    ),
    Route(
        "post",
        "/v1/standing",
        "standing",
        "checks",
        "What a person may and may not ride",
        "standing",
        shapes.StandingShape,
        documented.StandingAnswer,
    ),
    Route(
        "post",
        "/v1/changes",
        "apply_changes",
        "changes",
        "Up to 1,000 changes to the roster",
        "list:add, list:remove or list:lift, by op and list",
        shapes.ChangesShape,
        documented.ChangesAnswer,
    ),
    Route(
        "get",
        "/v1/changes",
        "read_changes",
        "changes",
        "The log, as a long poll",
        "feed or list:read",
        None,
        documented.LogAnswer,
        LOG_PARAMETERS,
    ),
    Route(
        "post",
        "/v1/entries/find",
        "find_entries",
        "entries",
        "All entries of a document",
        "list:read",
        shapes.FindShape,
        documented.FindAnswer,
    ),
    Route(
        "post",
        "/v1/entries/history",
        "entry_history",
        "entries",
        "What happened to them, oldest first",
        "list:read",
        shapes.HistoryShape,
        documented.HistoryAnswer,
    ),
    Route(
        "get",
        "/v1/audit",
        "read_audit",
        "audit",
        "Who asked, what was answered, what was changed",
        "audit",
        None,
        audited.AuditAnswer,
        AUDIT_PARAMETERS,
    ),
    Route(
        "get",
        "/v1/roster",
        "read_roster",
        _OPS,
        "Counts, positions, decisions, removal lag, processes",
        _OPS_READ,
        None,
        documented.RosterAnswer,
    ),
    Route(
        "get", "/v1/trend", "read_trend", _OPS, "Figures over time", _OPS_READ, None, TrendAnswer
    ),
    Route(
        "get",
        "/v1/live",
        "follow_figures",
        _OPS,
        "Readiness, figures and trends as they change, as server-sent events",
        _OPS_READ,
        None,
        None,
        LIVE_PARAMETERS,
        "text/event-stream",
    ),
    Route("get", "/v1/key", "read_key", _OPS, "What this key may do", "any scope", None, KeyAnswer),
    Route(
        "get",
        "/healthz",
        "health",
        _OPS,
        "Whether the process lives",
        None,
        None,
        documented.AliveAnswer,
    ),
    Route(
        "get",
        "/readyz",
        "readiness",
        _OPS,
        "Whether it decides checks",
        None,
        None,
        documented.ReadyAnswer,
    ),
    Route("get", "/metrics", "metrics", _OPS, "Prometheus text", _OPS_READ, None, None),
)


def document() -> dict[str, Any]:
    """The whole OpenAPI document, ready for JSON."""
    named = [each for route in ROUTES for each in (route.asked, route.answered) if each]
    by_type, components = described([*named, Problem])
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method] = _operation(route, by_type)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Clearway",
            "version": _version(),
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": text} for name, text in _TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"key": _KEY},
        },
        "x-sandbox": table_json(),
    }


def _operation(route: Route, by_type: dict[type, dict[str, Any]]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": route.summary,
        "operationId": route.name,
        "tags": [route.tag],
        "responses": {"200": _answer(route, by_type), **_problems(route, by_type)},
    }
    if route.scope:
        operation["description"] = f"Scope: {route.scope}."
        operation["security"] = [{"key": []}]
    if route.asked:
        body = _content("application/json", by_type[route.asked], requests(route.name))
        operation["requestBody"] = {"required": True, "content": body}
    if route.parameters:
        operation["parameters"] = [
            {"name": name, "in": "query", "description": text, "schema": schema}
            for name, text, schema in route.parameters
        ]
    return operation


def _answer(route: Route, by_type: dict[type, dict[str, Any]]) -> dict[str, Any]:
    if route.answered is None:
        return {"description": "Text", "content": {route.text: {"schema": {"type": "string"}}}}
    content = _content("application/json", by_type[route.answered], answers(route.name))
    return {"description": route.summary, "content": content}


def _content(media_type: str, schema: dict[str, Any], examples: dict[str, Any]) -> dict[str, Any]:
    """A body of this shape, with its examples where there are any."""
    return {media_type: {"schema": schema, **({"examples": examples} if examples else {})}}


def _problems(route: Route, by_type: dict[type, dict[str, Any]]) -> dict[str, Any]:
    """The problems that this route may answer with."""
    if route.path == "/healthz":
        return {}
    if route.path == "/readyz":
        content = _content("application/json", by_type[documented.ReadyAnswer], {})
        return {"503": {"description": "not ready, and why", "content": content}}
    wanted = dict(_ERRORS)
    if "feed" in (route.scope or ""):
        wanted["410"] = "the position is older than the log; `oldest` says where to start"
    return {
        status: {
            "description": text,
            "content": _content(PROBLEM_TYPE, by_type[Problem], problems(status)),
            **({"headers": _COME_BACK} if status in _LATER else {}),
        }
        for status, text in sorted(wanted.items())
    }


def _version() -> str:
    try:
        return version("clearway")
    except PackageNotFoundError:  # run from a folder, not installed
        return "0"
