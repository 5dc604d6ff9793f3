"""Requests and replies as httpx has them: where the service is, and what went wrong on the way."""

from __future__ import annotations

import ipaddress
import logging
import ssl
from typing import Any

import httpx

from clearway_client.exchange import NO_REPLY, Reply, Request
from clearway_client.terms import Terms

PORT_MAX = 65_535
AGENT = "clearway-client/0.1.0"
TEST_KEY = "cw_test_"
_log = logging.getLogger("clearway_client")
_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_PASSING = (ssl.SSLWantReadError, ssl.SSLWantWriteError, ssl.SSLEOFError, ssl.SSLZeroReturnError)
"""What asyncio meets with whenever it waits, and how a connection ends: TLS was spoken."""


def fault_in(url: str, key: str, terms: Terms) -> str:
    """Why they can be none, or nothing; it repeats neither.

    It is not raised here: a traceback has the variables of all frames, and the key is one.
    """
    if not isinstance(terms, Terms):
        return "terms: it must be Terms(...)"
    return _fault_in_key(key) or _fault_in_url(url, plain=terms.allow_plain_http)


def options(url: str, key: str, terms: Terms) -> dict[str, Any]:
    """What either of httpx's clients is made with, where there is no fault.

    No proxy that only the environment names ever sees the key and the numbers. A test key is told
    of in the log: left in production, it would let everybody through.
    """
    if key.startswith(TEST_KEY):
        _log.warning("this is a test key: everybody who is not in its table is allowed")
    return {
        "base_url": url,
        "headers": {
            "authorization": f"Bearer {key}",
            "content-type": "application/json",
            "user-agent": AGENT,
        },
        "trust_env": False,
        "verify": terms.tls or httpx.create_ssl_context(),
    }


def sending(request: Request) -> dict[str, Any]:
    """What either of them is asked with."""
    return {
        "method": request.method,
        "url": request.path,
        "content": request.content or None,
        "params": dict(request.query),
        "timeout": request.timeout_s,
    }


def reply_of(response: httpx.Response) -> Reply:
    """What came back."""
    retry_after = response.headers.get("retry-after", "")
    return Reply(response.status_code, response.content, retry_after)


def lost(exc: httpx.RequestError) -> Reply:
    """What to know where nothing came back: the error itself holds what was sent."""
    sent = not isinstance(exc, _UNSENT)
    if isinstance(exc, httpx.TimeoutException):
        return Reply(NO_REPLY, fault="nothing came in time", sent=sent)
    if broken := _broken_tls(exc):
        fault = "no TLS: " + (getattr(broken, "verify_message", "") or "not spoken as asked")
        return Reply(NO_REPLY, fault=fault, sent=False, hopeless=True)
    return Reply(NO_REPLY, fault="the connection broke off" if sent else "no connection", sent=sent)


def _broken_tls(exc: BaseException) -> ssl.SSLError | None:
    """Why there can be no TLS, where that is what lies behind an error."""
    cause: BaseException | None = exc
    while cause is not None:
        if isinstance(cause, ssl.SSLError) and not isinstance(cause, _PASSING):
            return cause
        cause = cause.__cause__ or cause.__context__
    return None


def _fault_in_key(key: object) -> str:
    is_one = isinstance(key, str) and key.isascii() and key.isprintable() and " " not in key
    return "" if key and is_one else "the key must be the key alone: plain ASCII, without blanks"


def _fault_in_url(url: str, *, plain: bool) -> str:
    try:
        parts = httpx.URL(url)
    except (httpx.InvalidURL, TypeError):
        parts = httpx.URL()
    rooted = parts.scheme in {"http", "https"} and parts.host and (parts.port or 1) <= PORT_MAX
    if not rooted or parts.userinfo or parts.query:
        return "write the service's root: https://HOST:PORT"
    if parts.scheme == "http" and not plain and not _is_here(parts.host):
        return "http:// shows the key and every number on the way: allow_plain_http"
    return ""


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
