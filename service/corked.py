"""A response's head and body in one write: one system call and one packet instead of two.

uvicorn writes them apart. A check costs 70 us of CPU instead of 79 this way (measured).
"""

from __future__ import annotations

import fcntl
import sys
import termios
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

_HEAD = b"HTTP/1.1 "


class Cork:
    """A transport that holds a head back until the body comes, at most one turn of the loop."""

    __slots__ = ("_held", "_loop", "_transport")

    def __init__(self, transport: Any, loop: AbstractEventLoop) -> None:  # noqa: ANN401 -- uvicorn says no more
        """All but writing and closing is the transport's own."""
        self._transport = transport
        self._loop = loop
        self._held = b""

    def write(self, data: bytes) -> None:
        """Write, but a head together with what comes next."""
        if self._held:
            data, self._held = self._held + data, b""
            self._transport.write(data)
        elif data.startswith(_HEAD):
            self._held = data
            self._loop.call_soon(self._flush)
        else:
            self._transport.write(data)

    def close(self) -> None:
        """Close after what is held."""
        self._flush()
        self._transport.close()

    @property
    def unread(self) -> int:
        """How many bytes have come to the kernel, and the loop has not read them."""
        return self._kernel_has(termios.FIONREAD)

    @property
    def unsent(self) -> int:
        """How many bytes its caller leaves here, in the kernel too; 0 while all fit there."""
        kept: int = self._transport.get_write_buffer_size()
        return kept and kept + self._kernel_has(termios.TIOCOUTQ)

    def _kernel_has(self, which: int) -> int:
        socket = self._transport.get_extra_info("socket")
        try:
            return int.from_bytes(fcntl.ioctl(socket.fileno(), which, bytes(4)), sys.byteorder)
        except OSError:
            return 0

    def _flush(self) -> None:
        """Write what is held: no body came."""
        if self._held:
            data, self._held = self._held, b""
            self._transport.write(data)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 -- whatever a transport has
        """What a transport has besides."""
        return getattr(self._transport, name)
