"""Heads that are looked at twice: those that offer an upgrade, are large, or say a thing twice.

A head that two readers may understand in two ways is answered by neither: a proxy before us may
have gone by the other one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    HeadLines = Sequence[tuple[bytes, bytes]]

HEAD_MAX_BYTES = 32 * 1024
"""Of a request's target and headers, together."""
HEADERS_MAX = 100
USUAL_TYPES = frozenset(
    {
        None,
        b"application/json",
        b"application/json; charset=utf-8",
        b"application/x-www-form-urlencoded",  # what curl says of any body
    }
)
"""Types of bodies of which nothing more has to be known."""
USUAL_CODINGS = frozenset({None, b"chunked"})
"""How bodies are sent; others than these would have to be undone."""
_ONCE = (b"host", b"authorization", b"content-length", b"content-type", b"content-encoding")
_AUTHORIZATION = re.compile(rb"\r\n(?i:authorization):[ \t]*([^\r\n]*)")
_CHARSET = b"charset="
_UTF_8 = frozenset({b"utf-8", b"utf8", b"us-ascii", b"ascii"})
_OFFERS = frozenset({b"upgrade", b"http2-settings"})


def key_in(data: bytes) -> bytes | None:
    """What the first head here shows as its key, before it is read."""
    found = _AUTHORIZATION.search(data)
    return found[1] if found else None


def fault(headers: HeadLines, url: bytes) -> tuple[int, str] | None:
    """The status to refuse a head with, and why where the status does not say it."""
    size = len(url) + sum(len(name) + len(value) for name, value in headers)
    if size > HEAD_MAX_BYTES or len(headers) > HEADERS_MAX:
        return 431, ""
    names = [name for name, _ in headers]
    for name in _ONCE:
        if names.count(name) > 1:
            return 400, f"the header {name.decode().title()} stands twice"
    if any(name == b"transfer-encoding" and value.lower() != b"chunked" for name, value in headers):
        return 400, ""
    return (415, "") if any(_is_foreign(name, value.lower()) for name, value in headers) else None


def _is_foreign(name: bytes, value: bytes) -> bool:
    """Whether it says that the body is compressed, or in another encoding than UTF-8."""
    if name == b"content-encoding":
        return value.strip() not in {b"", b"identity"}
    if name != b"content-type" or _CHARSET not in value:
        return False
    return value.partition(_CHARSET)[2].partition(b";")[0].strip(b" \t\"'") not in _UTF_8


def without_offer(headers: HeadLines) -> bytes:
    """The lines of a head without its offer of an upgrade, and the empty one behind them."""
    lines = [(name, value) for name, value in headers if name not in _OFFERS]
    return b"".join(b"%s: %s\r\n" % (name, _kept(name, value)) for name, value in lines) + b"\r\n"


def _kept(name: bytes, value: bytes) -> bytes:
    if name != b"connection":
        return value
    options = (option.strip() for option in value.split(b","))
    return b", ".join(option for option in options if option.lower() not in _OFFERS)
