"""Bodies read and answers sent: what every route needs of HTTP."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Generic, TypeVar

import msgspec
from litestar import Response
from litestar.types import Receive, Send

from roster.errors import BodyTooLarge, InvalidBody, InvalidInput, Unavailable
from service.web.faults import TOLD_MAX, faults, field_error, why_no_json
from service.web.remainders import Meaning, faults_beside

_encode = msgspec.json.Encoder().encode

T = TypeVar("T", bound=msgspec.Struct)
READ_TIMEOUT_S = 2.0
BODY_MAX_BYTES = 4 * 1024 * 1024
INVALID = (InvalidInput, InvalidBody, msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What a part of a body raises where it is the sender's fault."""

WholeResponse = tuple[int, list[tuple[bytes, bytes]], bytes]
"""Status, headers but for the length, and body of an answer."""
COLON, HIDDEN_COLON = b":", b"u003"
"""What stands behind each name, and what may become one where a text has an escape of it."""
TWICE = "a field is given twice in one object"
JSON_HEADERS = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]


def _nothing(_: object) -> tuple[()]:
    return ()


class Body(Generic[T]):
    """Reads bodies of one shape."""

    def __init__(self, shape: type[T]) -> None:
        """The shape is a Struct."""
        self._shape = shape
        self._decoder = msgspec.json.Decoder(shape)

    def decode(self, body: bytes | msgspec.Raw, meant: Meaning[T] = _nothing) -> T:
        """The body; raises InvalidBody with all of its faults, or what says that it is no JSON.

        `meant` tells what is wrong beside its shape; it is asked only about one that is misshapen,
        of which what is required may be None.
        """
        try:
            read = self._decoder.decode(body)
        except msgspec.ValidationError as exc:
            value = msgspec.json.decode(body)
            found = faults(value, self._shape) or [field_error(exc)]
            beside = faults_beside(found, value, self._shape, meant)
            told = [*((each.field, each.message) for each in found), *beside]
            raise InvalidBody(told[:TOLD_MAX]) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise InvalidBody([("", why_no_json(bytes(body)))]) from None
        if repeats_a_field(bytes(body), read):
            raise InvalidBody([("", TWICE)])
        return read


def repeats_a_field(body: bytes, read: object) -> bool:
    """Whether an object of this JSON has a name twice, of which another reader may take the first.

    `read` is what was decoded of it: written again it has fewer colons then.
    """
    if HIDDEN_COLON not in body:
        colons = body.count(COLON)
        if colons == _encode(read).count(COLON):
            return False
        with suppress(msgspec.MsgspecError):  # what may be left out was given
            if colons == _encode(msgspec.json.decode(body)).count(COLON):
                return False
    # Parts that are judged by themselves are in both.
    return _repeats(body) > _repeats(_encode(read))


def _repeats(body: bytes) -> int:
    """How many objects of this JSON have a name twice."""
    found: list[bool] = []

    def look(pairs: list[tuple[str, object]]) -> None:
        found.append(len(dict(pairs)) < len(pairs))

    json.loads(body, object_pairs_hook=look, parse_int=len, parse_float=len)
    return sum(found)


@asynccontextmanager
async def in_time() -> AsyncIterator[None]:
    """Raises Unavailable where what is read within takes longer than anybody waits."""
    try:
        async with asyncio.timeout(READ_TIMEOUT_S):
            yield
    except TimeoutError:
        raise Unavailable("Redis did not answer in time") from None


async def body_of(receive: Receive) -> bytes:
    """The request's body; raises BodyTooLarge."""
    message: Any = await receive()
    body: bytes = message.get("body", b"")
    if not message.get("more_body", False):
        return _bounded(body)
    parts, size = [body], len(body)
    while message.get("more_body", False):
        message = await receive()
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > BODY_MAX_BYTES:
            raise BodyTooLarge(f"a body is at most {BODY_MAX_BYTES} bytes")
    return b"".join(parts)


def _bounded(body: bytes) -> bytes:
    if len(body) > BODY_MAX_BYTES:
        raise BodyTooLarge(f"a body is at most {BODY_MAX_BYTES} bytes")
    return body


async def send_whole(send: Send, whole: WholeResponse) -> None:
    """Send an answer."""
    status, headers, body = whole
    length = (b"content-length", b"%d" % len(body))
    start: Any = {"type": "http.response.start", "status": status, "headers": [*headers, length]}
    await send(start)
    await send({"type": "http.response.body", "body": body, "more_body": False})


def json_response(content: object) -> Response[bytes]:
    """The answer of a Litestar handler."""
    return Response(
        msgspec.json.encode(content),
        media_type="application/json",
        headers={"cache-control": "no-store"},
    )
