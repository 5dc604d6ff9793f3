"""Errors as answers: every one has a status, and none repeats what was sent."""

from __future__ import annotations

import inspect
from http import HTTPStatus

import msgspec
import pytest
from litestar.exceptions import HTTPException
from structlog.testing import capture_logs

from roster import errors
from roster.errors import (
    ClearwayError,
    Forbidden,
    InvalidInput,
    LogTrimmed,
    NotDurable,
    TooMany,
    Unauthorised,
    Unavailable,
    Unreadable,
)
from service.web.problems import TABLE, problem_bytes, problem_of
from service.web.shapes import Check

NUMBER = "11010518491231002X"


def test_every_error_has_a_status() -> None:
    defined = {
        each
        for _, each in inspect.getmembers(errors, inspect.isclass)
        if issubclass(each, ClearwayError)
    }
    assert defined == set(TABLE)


@pytest.mark.parametrize(
    ("exc", "status"),
    [
        (InvalidInput("document.number", "empty"), 400),
        (errors.PositionError("this is not a position"), 400),
        (Unauthorised("no key"), 401),
        (Forbidden("list:add@sx"), 403),
        (LogTrimmed("AQ"), 410),
        (errors.BodyTooLarge("long"), 413),
        (TooMany(1_500), 429),
        (Unavailable("Redis did not answer in time"), 503),
        (NotDurable("not safe"), 503),
        (Unreadable("damaged"), 503),
        (HTTPException(status_code=404), 404),
        (HTTPException(status_code=405), 405),
        (RuntimeError("boom"), 500),
    ],
)
def test_errors_become_statuses(exc: Exception, status: int) -> None:
    problem = problem_of(exc)
    assert problem.status == status
    assert problem.type.startswith("urn:clearway:problem:")
    assert problem.title


def test_a_blamed_field_is_told() -> None:
    problem = problem_of(InvalidInput("document.issuer", "required"))
    assert [(each.field, each.message) for each in problem.errors] == [
        ("document.issuer", "required")
    ]


def test_a_missing_scope_is_told() -> None:
    problem = problem_of(Forbidden("list:remove@sx"))
    assert problem.scope == "list:remove@sx"
    assert "list:remove@sx" in problem.detail


def test_a_trimmed_log_says_from_where_to_start() -> None:
    assert problem_of(LogTrimmed("AQold")).oldest == "AQold"


def test_what_was_not_acknowledged_carries_its_revisions() -> None:
    refused = NotDurable("not known to be safe")
    assert problem_of(refused).revisions == ()
    refused.revisions = (5, 7)
    assert problem_of(refused).revisions == (5, 7)


@pytest.mark.parametrize(
    ("exc", "seconds"), [(TooMany(1), "1"), (TooMany(1_001), "2"), (Unavailable("gone"), "1")]
)
def test_who_may_come_back_is_told_when(exc: Exception, seconds: str) -> None:
    status, headers, body = problem_bytes(exc)
    assert status in {429, 503}
    assert dict(headers)[b"retry-after"] == seconds.encode()
    assert dict(headers)[b"content-type"] == b"application/problem+json"
    assert msgspec.json.decode(body)["retry_after_ms"] >= 1


def test_a_401_names_the_scheme() -> None:
    _, headers, _ = problem_bytes(Unauthorised("no key"))
    assert (b"www-authenticate", b"Bearer") in headers


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        ('{"journey": {"mode": "air"}}', "document", "required"),
        ('{"document": {"type": "NUMBER", "number": "1"}}', "document.type", ""),
        ('{"document": {"type": "passport", "number": "1"}, "NUMBER": 1}', "", "unknown field"),
        (
            '{"document": {"type": "passport", "number": "1", "nmuber": 1}}',
            "document",
            "unknown field",
        ),
        (
            '{"journey": {"mode": "rail", "seat": ["O", "NUMBER"]}}',
            "journey.seat[1]",
            "expected",
        ),
        ('["NUMBER"]', "", "expected"),
        ('"NUMBER', "", "JSON"),
        ('{"document": {"type": "passport", "number": "NUMBER"', "", "JSON"),
    ],
)
def test_what_is_malformed_is_told_without_repeating_it(
    body: str, field: str, message: str
) -> None:
    with pytest.raises(msgspec.DecodeError) as caught:
        msgspec.json.decode(body.replace("NUMBER", NUMBER), type=Check)
    problem = problem_of(caught.value)
    assert problem.status == HTTPStatus.BAD_REQUEST
    (error,) = problem.errors
    assert error.field == field
    assert message in error.message
    assert NUMBER not in msgspec.json.encode(problem).decode()


def test_bytes_that_are_no_text_are_told() -> None:
    with pytest.raises((msgspec.DecodeError, UnicodeDecodeError)) as caught:
        msgspec.json.decode(b'{"name": "\xff\xfe"}', type=Check)
    assert problem_of(caught.value).status == HTTPStatus.BAD_REQUEST


def test_deep_nesting_is_told() -> None:
    with pytest.raises((RecursionError, msgspec.DecodeError)) as caught:
        msgspec.json.decode(b"[" * 100_000)
    assert problem_of(caught.value).status == HTTPStatus.BAD_REQUEST


def test_an_unforeseen_error_tells_nothing_of_itself() -> None:
    with capture_logs() as logged:
        _, _, body = problem_bytes(RuntimeError(NUMBER))
    assert NUMBER.encode() not in body
    assert [line["error"] for line in logged] == ["RuntimeError"]
    assert NUMBER not in str(logged)
