"""What the kernel holds of a connection, in either direction."""

from __future__ import annotations

import fcntl
import sys
import termios
from typing import Any


def unread(transport: Any) -> int:  # noqa: ANN401 -- uvicorn says no more
    """How many bytes have come to the kernel, and the loop has not read them."""
    return _kernel_has(transport, termios.FIONREAD)


def unsent(transport: Any) -> int:  # noqa: ANN401 -- the same
    """How many bytes its caller leaves here, in the kernel too; 0 while all fit there."""
    kept: int = transport.get_write_buffer_size()
    return kept and kept + _kernel_has(transport, termios.TIOCOUTQ)


def _kernel_has(transport: Any, which: int) -> int:  # noqa: ANN401 -- the same
    socket = transport.get_extra_info("socket")
    try:
        return int.from_bytes(fcntl.ioctl(socket.fileno(), which, bytes(4)), sys.byteorder)
    except OSError:
        return 0
