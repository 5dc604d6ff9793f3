"""Errors as HTTP answers: one table, and one shape (RFC 9457).

No answer ever repeats what was sent: it may hold an ID number or a name.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException

from roster import errors
from service.web.faults import NO_JSON, FieldError, field_error, join

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_MS = 1_000
"""When to come back where nobody can say; a fail-over or a restart takes longer."""

Headers = list[tuple[bytes, bytes]]

_log = structlog.get_logger("clearway.problems")


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """What went wrong, as RFC 9457 writes it; the fields behind `errors` are extensions."""

    type: str
    title: str
    status: int
    detail: str = ""
    errors: tuple[FieldError, ...] = ()
    retry_after_ms: int | None = None
    revisions: tuple[int, ...] = ()
    oldest: str | None = None
    scope: str | None = None


class ProblemKind(NamedTuple):
    """How a class of errors is told."""

    status: int
    name: str
    title: str

    @property
    def type(self) -> str:
        """The URI that names it for programs."""
        return f"urn:clearway:problem:{self.name}"


INVALID = ProblemKind(400, "invalid", "The request is invalid")
UNAVAILABLE = ProblemKind(
    503, "unavailable", "The roster cannot be reached; nothing is acknowledged"
)
INTERNAL = ProblemKind(500, "internal", "Something went wrong here")

TABLE: Mapping[type[errors.ClearwayError], ProblemKind] = {
    errors.InvalidInput: INVALID,
    errors.InvalidBody: INVALID,
    errors.PositionError: INVALID,
    errors.LogTrimmed: ProblemKind(410, "log-trimmed", "The log no longer reaches back so far"),
    errors.Unauthorised: ProblemKind(401, "unauthorised", "A valid API key is required"),
    errors.Forbidden: ProblemKind(403, "forbidden", "The API key may not do this"),
    errors.TooMany: ProblemKind(429, "too-many", "Too many checks at once"),
    errors.BodyTooLarge: ProblemKind(413, "body-too-large", "The body is longer than 4 MiB"),
    errors.Unavailable: UNAVAILABLE,
    errors.Unreadable: ProblemKind(
        503, "unreadable", "What is stored of this person cannot be read"
    ),
    errors.NotDurable: ProblemKind(503, "not-durable", "Not acknowledged: send the same again"),
    errors.WrongKey: ProblemKind(503, "wrong-key", "The roster was loaded with another ID key"),
    errors.ServerUnfit: UNAVAILABLE,
    errors.EmbeddedError: UNAVAILABLE,
    # These end a start or a load, and never reach a client.
    errors.SettingsError: INTERNAL,
    errors.ListsError: INTERNAL,
    errors.WrongUsage: INTERNAL,
    errors.LoadRefused: INTERNAL,
    errors.PushRefused: INTERNAL,
    errors.ClearwayError: INTERNAL,
}

_FOREIGN = {400: INVALID, 413: TABLE[errors.BodyTooLarge], 500: INTERNAL}
"""What Litestar finds for itself, in our own words."""

_DETAILS = {
    400: "this is not a request of HTTP/1.1",
    404: "there is nothing at this path",
    405: "this path does not take this method",
    408: "the request did not come whole in time",
    413: "send less at once",
    415: "a body is JSON in UTF-8, neither compressed nor in another encoding",
    431: "a head has at most 100 headers and 32 KiB",
}
_HAS_LEFT = "client disconnected prematurely"
"""What Litestar calls an error of the server, but is nobody's: there is nobody to tell."""
_RETRIED = frozenset({429, 503})


def problem_of(exc: BaseException) -> Problem:
    """The problem that tells an error to whoever asked."""
    if isinstance(exc, errors.ClearwayError):
        return _of_ours(exc)
    if isinstance(exc, (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)):
        return _invalid([_body_error(exc)])
    if isinstance(exc, ValidationException):
        return _invalid(_parameter_errors(exc))
    if isinstance(exc, HTTPException):
        return _of_status(*((408,) if exc.detail == _HAS_LEFT else (exc.status_code, _takes(exc))))
    return Problem(INTERNAL.type, INTERNAL.title, INTERNAL.status)


def problem_bytes(exc: BaseException) -> tuple[int, Headers, bytes]:
    """Status, headers and body of the answer to any error, as a server sends them."""
    problem = problem_of(exc)
    return _bytes(problem, _headers_of(exc, problem))


def status_bytes(status: int, detail: str = "") -> tuple[int, Headers, bytes]:
    """What a server sends for an error that is found before there is a request."""
    problem = _of_status(status, detail)
    return _bytes(problem, _headers(problem))


def _bytes(problem: Problem, more: Mapping[str, str]) -> tuple[int, Headers, bytes]:
    headers = [("content-type", MEDIA_TYPE), *more.items()]
    return (
        problem.status,
        [(name.encode("ascii"), value.encode("ascii")) for name, value in headers],
        msgspec.json.encode(problem),
    )


def problem_response(_: Request[Any, Any, Any], exc: Exception) -> Response[bytes]:
    """The answer as Litestar takes it, which asks for it where an error leaves a handler."""
    problem = problem_of(exc)
    return Response(
        msgspec.json.encode(problem),
        status_code=problem.status,
        media_type=MEDIA_TYPE,
        headers=_headers_of(exc, problem),
    )


def _takes(exc: HTTPException) -> str:
    """Which methods there are, where another was tried."""
    given = {name.lower(): value for name, value in (exc.headers or {}).items()}
    allowed = given.get("allow") if exc.status_code == HTTPStatus.METHOD_NOT_ALLOWED else None
    return f"this path takes {with_head(allowed)}" if allowed else ""


def _headers_of(exc: BaseException, problem: Problem) -> dict[str, str]:
    """The headers of the problem; what is our own fault is logged."""
    if problem.status == INTERNAL.status:
        _report(exc)
    given = exc.headers if isinstance(exc, HTTPException) and exc.headers else {}
    allowed = {
        name: with_head(value) if name.lower() == "allow" else value
        for name, value in given.items()
    }
    return {**allowed, **_headers(problem)}


def with_head(allow: str) -> str:
    """The methods of an `Allow` header; HEAD is taken wherever GET is."""
    methods = allow.split(", ")
    if "GET" in methods and "HEAD" not in methods:
        methods.insert(methods.index("GET") + 1, "HEAD")
    return ", ".join(methods)


def _of_ours(exc: errors.ClearwayError) -> Problem:
    kind = next(TABLE[each] for each in type(exc).__mro__ if each in TABLE)
    hidden = kind.status == INTERNAL.status
    return Problem(
        kind.type,
        kind.title,
        kind.status,
        detail="" if hidden else _detail(exc),
        errors=_blamed(exc),
        retry_after_ms=_retry_after_ms(exc, kind.status),
        revisions=exc.revisions,
        oldest=exc.oldest if isinstance(exc, errors.LogTrimmed) else None,
        scope=exc.scope if isinstance(exc, errors.Forbidden) else None,
    )


def _blamed(exc: errors.ClearwayError) -> tuple[FieldError, ...]:
    if not isinstance(exc, errors.InvalidInput | errors.InvalidBody):
        return ()
    return tuple(FieldError(*fault) for fault in exc.faults)


def _detail(exc: errors.ClearwayError) -> str:
    if isinstance(exc, errors.LogTrimmed):
        return "start again from `oldest`, after reading everything anew"
    return "send the same changes again, with `revisions`" if exc.revisions else str(exc)


def _retry_after_ms(exc: errors.ClearwayError, status: int) -> int | None:
    if isinstance(exc, errors.TooMany):
        return exc.retry_after_ms
    return RETRY_AFTER_MS if status in _RETRIED else None


def _headers(problem: Problem) -> dict[str, str]:
    headers = {"cache-control": "no-store"}
    if problem.retry_after_ms is not None:
        headers["retry-after"] = str(max(1, -(-problem.retry_after_ms // 1000)))
    if problem.status == HTTPStatus.UNAUTHORIZED:
        headers["www-authenticate"] = "Bearer"
    return headers


def _of_status(status: int, detail: str = "") -> Problem:
    try:
        title = HTTPStatus(status).phrase
    except ValueError:
        title = INTERNAL.title
    kind = _FOREIGN.get(status, ProblemKind(status, title.lower().replace(" ", "-"), title))
    retry = RETRY_AFTER_MS if status in _RETRIED else None
    detail = detail or _DETAILS.get(status, "")
    return Problem(kind.type, kind.title, status, detail=detail, retry_after_ms=retry)


def _invalid(found: Iterable[FieldError]) -> Problem:
    errors = tuple(found)
    detail = "; ".join(": ".join(filter(None, (each.field, each.message))) for each in errors)
    return Problem(INVALID.type, INVALID.title, INVALID.status, detail=detail, errors=errors)


def _body_error(exc: BaseException) -> FieldError:
    """What msgspec complains of, without what was sent."""
    if not isinstance(exc, msgspec.ValidationError):
        return FieldError("", NO_JSON)  # whoever has the body says more: `bodies.Body`
    return field_error(exc)


def _parameter_errors(exc: ValidationException) -> list[FieldError]:
    """What Litestar complains of, each under the name of its parameter or field."""
    found = exc.extra if isinstance(exc.extra, list) else []
    errors = [
        (str(each.get("key", "")), field_error(str(each.get("message", ""))))
        for each in found
        if isinstance(each, dict)
    ]
    return [FieldError(join(key, error.field), error.message) for key, error in errors]


def _report(exc: BaseException) -> None:
    """Log where it came from; its message is left out, as it may hold what was sent."""
    trace = exc.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else ""
    _log.error("request failed", error=type(exc).__name__, where=where)
