"""A real server between the client and the service, which can stand in the way as told."""

from __future__ import annotations

import json
import threading
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator, Mapping

PASSED_ON = ("authorization", "content-type")


@dataclass(frozen=True)
class Trouble:
    """What happens to one request: it is answered so; with status 0 it gets no answer.

    `passed`: the service gets it all the same. `until`: nothing happens before.
    """

    status: int = 0
    problem: Mapping[str, Any] = field(default_factory=dict)
    retry_after: str = ""
    passed: bool = False
    until: threading.Event | None = None


class Gateway(ThreadingHTTPServer):
    """What it was asked, and what is to happen to the next requests."""

    def __init__(self, target: str, tls: ssl.SSLContext | None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.behind = httpx.Client(base_url=target, timeout=40)
        self.plan: deque[Trouble] = deque()
        self.bodies: list[Any] = []
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_side=True)
        scheme = "https://localhost" if tls else "http://127.0.0.1"
        self.url = f"{scheme}:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    """Passes a request on, unless something is to happen to it."""

    server: Gateway

    def handle_one(self) -> None:
        content = self.rfile.read(int(self.headers.get("content-length") or 0))
        self.server.bodies.append(json.loads(content or b"null"))
        trouble = self.server.plan.popleft() if self.server.plan else None
        if trouble is None:
            answer = self._ask(content)
            self._answer(answer.status_code, answer.headers, answer.content)
            return
        if trouble.until:
            trouble.until.wait(60)
        if trouble.passed:
            self._ask(content)
        if trouble.status:
            headers = {"retry-after": trouble.retry_after} if trouble.retry_after else {}
            self._answer(trouble.status, headers, json.dumps(trouble.problem).encode())

    do_GET = do_POST = handle_one  # noqa: N815 -- the library's names

    def _ask(self, content: bytes) -> httpx.Response:
        headers = {name: self.headers[name] for name in PASSED_ON if self.headers[name]}
        return self.server.behind.request(self.command, self.path, content=content, headers=headers)

    def _answer(self, status: int, headers: Mapping[str, str], content: bytes) -> None:
        self.send_response(status)
        for name in ("content-type", "retry-after"):
            if name in headers:
                self.send_header(name, headers[name])
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def gateway(target: str, tls: ssl.SSLContext | None = None) -> Iterator[Gateway]:
    """Before a service, on a port that was free."""
    with Gateway(target, tls) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
            server.behind.close()
