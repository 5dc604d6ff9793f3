"""Why no answer has come from a server: for people, and as a code."""

from __future__ import annotations

import errno
import os
import socket
import ssl

import redis.exceptions

from roster.redis.logins import WRONG, NoPassword

TIMEOUT, TLS, NAME, CLOSED, PASSWORD = "timeout", "tls", "name", "closed", "password"
"""Codes for what neither Redis nor the system has one for."""


def reason(exc: BaseException | None) -> tuple[str, str]:
    """Why a connection failed, and that as a code.

    In the system's words; never in a server's, or redis-py's.
    """
    while exc is not None:
        if isinstance(exc, ssl.SSLError):
            why = getattr(exc, "verify_message", "") or exc.reason or "broken off"
            return f"TLS: {why}", TLS
        if isinstance(exc, socket.gaierror):
            return str(exc.strerror), NAME
        if isinstance(exc, OSError) and exc.errno:
            return os.strerror(exc.errno), errno.errorcode.get(exc.errno, CLOSED)
        if isinstance(exc, NoPassword):
            return str(exc), PASSWORD
        if isinstance(exc, redis.exceptions.AuthenticationError):
            return WRONG, "WRONGPASS"
        exc = exc.__cause__ or exc.__context__
    return "the connection was broken off", CLOSED
