"""One user's connection to a service, under gevent: requests that are ready, answers as bytes.

The requests are made here and the answers read by geventhttpclient's parser: its client and
locust's own cost twice and ten times as much a request.
"""

from __future__ import annotations

import socket
import ssl
import time
from functools import cache
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

from geventhttpclient.response import HTTPConnectionClosed, HTTPParseError, HTTPSocketResponse

_BLOCK_BYTES = 1 << 16
_PORTS = {"http": 80, "https": 443}


class Service(NamedTuple):
    """Where a service is, and the key it is asked with."""

    url: str
    key: str

    def __repr__(self) -> str:
        """Without the key."""
        return f"Service({self.url!r})"


class Reply(NamedTuple):
    """What came back, and when; `fault` says why nothing did."""

    status: int
    body: bytes
    asked_s: float
    answered_s: float
    fault: str = ""


class Wire:
    """A connection that is opened when it is needed, one request at a time."""

    def __init__(self, service: Service, timeout_s: float) -> None:
        """To that service; an answer may take so long."""
        self._parts = urlsplit(service.url)
        self._timeout_s = timeout_s
        self._socket: socket.socket | None = None
        self._path = self._parts.path.rstrip("/")
        self._head = (
            f" HTTP/1.1\r\nHost: {self._parts.netloc}\r\nAuthorization: Bearer {service.key}\r\n"
        )

    def get(self, target: str) -> Reply:
        """The answer to a GET of a path, its query behind it."""
        return self._send(f"GET {self._path}{target}{self._head}\r\n".encode(), "GET")

    def post(self, path: str, body: bytes) -> Reply:
        """The answer to a POST of JSON; where the connection has ended meanwhile, on a new one."""
        about = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        return self._send(f"POST {self._path}{path}{self._head}{about}".encode() + body, "POST")

    def close(self) -> None:
        """End the connection; the next request opens another."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, request: bytes, method: str) -> Reply:
        asked_s = time.monotonic()
        try:
            status, body = self._exchanged(request, method)
        except (OSError, HTTPParseError) as exc:
            self.close()
            return Reply(0, b"", asked_s, time.monotonic(), _told(exc))
        except BaseException:  # locust ends its users wherever they are
            self.close()
            raise
        return Reply(status, body, asked_s, time.monotonic())

    def _exchanged(self, request: bytes, method: str) -> tuple[int, bytes]:
        if self._socket is not None:
            try:
                return self._exchange(self._socket, request, method)
            except (HTTPConnectionClosed, BrokenPipeError, ConnectionResetError):
                self.close()  # it was idle for too long, or the service has started anew
        self._socket = _connected(self._parts, self._timeout_s)
        return self._exchange(self._socket, request, method)

    def _exchange(
        self, connection: socket.socket, request: bytes, method: str
    ) -> tuple[int, bytes]:
        connection.sendall(request)
        response = _Response(connection, _BLOCK_BYTES, method)
        body = response.read()
        if response.should_close():
            self.close()
        return response.get_code(), body


class _Response(HTTPSocketResponse):
    """A response whose connection stays its user's."""

    def release(self) -> None:
        self._sock = None


def _connected(parts: SplitResult, timeout_s: float) -> socket.socket:
    host = parts.hostname or ""
    address = host, parts.port or _PORTS[parts.scheme]
    made = socket.create_connection(address, timeout_s)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made if parts.scheme == "http" else _tls().wrap_socket(made, server_hostname=host)


@cache
def _tls() -> ssl.SSLContext:
    """What certificates are checked by: the system's, or `SSL_CERT_FILE`."""
    return ssl.create_default_context()


def _told(exc: Exception) -> str:
    """Why there was no answer, in words that are the same for all of its kind."""
    if isinstance(exc, TimeoutError):
        return "no answer in time"
    return f"no answer: {type(exc).__name__}"
