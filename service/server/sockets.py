"""What the kernel holds of a connection, in either direction."""

from __future__ import annotations

import fcntl
import socket
import sys
import termios
from typing import Any

_TCPI_UNACKED = slice(24, 28)
"""In `struct tcp_info`; of a listening socket it is the length of its backlog (linux/tcp.h)."""


def unread(transport: Any) -> int:  # noqa: ANN401 -- uvicorn says no more
    """How many bytes have come to the kernel, and the loop has not read them."""
    return _kernel_has(transport, termios.FIONREAD)


def unsent(transport: Any) -> int:  # noqa: ANN401 -- the same
    """How many bytes its caller leaves here, in the kernel too; 0 while all fit there."""
    kept: int = transport.get_write_buffer_size()
    return kept and kept + _kernel_has(transport, termios.TIOCOUTQ)


def address_of(listening: socket.socket, scheme: str) -> str:
    """The URL of a listening socket."""
    host, port = listening.getsockname()[:2]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def unaccepted(listening: socket.socket) -> int:
    """How many callers are connected to a listening socket, and nobody has taken them in yet."""
    try:
        info = listening.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCPI_UNACKED.stop)
    except OSError:  # it is closed
        return 0
    return int.from_bytes(info[_TCPI_UNACKED], sys.byteorder)


def _kernel_has(transport: Any, which: int) -> int:  # noqa: ANN401 -- the same
    own = transport.get_extra_info("socket")
    try:
        return int.from_bytes(fcntl.ioctl(own.fileno(), which, bytes(4)), sys.byteorder)
    except OSError:
        return 0
