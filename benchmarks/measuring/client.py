"""A keep-alive HTTP client that costs so little that it hides nothing of what it measures."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import msgspec

if TYPE_CHECKING:
    from types import TracebackType

LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)\r\n", re.IGNORECASE)
_LONGEST_HEAD = 1 << 16
STATUS = slice(9, 12)  # of "HTTP/1.1 200 OK"


class Answer(NamedTuple):
    """A status, and the body as it came."""

    status: int
    body: bytes

    def json(self) -> Any:  # noqa: ANN401 -- JSON is whatever it is
        """The body decoded; raises AssertionError where it is an error."""
        assert self.status == 200, f"HTTP {self.status}: {self.body[:300]!r}"
        return msgspec.json.decode(self.body)


class Connection:
    """One connection, one request at a time; use it in `async with`."""

    def __init__(self, port: int, api_key: str = "") -> None:
        """To a service on this machine."""
        self._port = port
        key = f"Authorization: Bearer {api_key}\r\n" if api_key else ""
        self._head = f" HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{key}"

    async def __aenter__(self) -> Self:
        await self._open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._writer.close()

    @property
    def local_port(self) -> int:
        """Which of this machine's ports it goes out from."""
        port: int = self._writer.get_extra_info("sockname")[1]
        return port

    def request(self, path: str, content: object) -> bytes:
        """A POST as it goes over the wire, to be sent as often as one likes."""
        body = msgspec.json.encode(content)
        lines = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        return f"POST {path}{self._head}{lines}".encode() + body

    async def post(self, path: str, content: object) -> Answer:
        """The answer to a POST of this content."""
        return await self.send(self.request(path, content))

    async def get(self, path: str) -> Answer:
        """The answer to a GET."""
        return await self.send(f"GET {path}{self._head}\r\n".encode())

    async def send(self, request: bytes) -> Answer:
        """The answer to a request made before; it must state its length."""
        if self._reader.at_eof():  # the server ends what has been idle for some seconds
            self._writer.close()
            await self._open()
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = LENGTH.search(head)
        assert length is not None, "an answer without Content-Length"
        return Answer(int(head[STATUS]), await self._reader.readexactly(int(length[1])))

    async def _open(self) -> None:
        self._reader, self._writer = await asyncio.open_connection(
            "127.0.0.1", self._port, limit=_LONGEST_HEAD
        )
