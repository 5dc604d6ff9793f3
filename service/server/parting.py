"""How a connection ends with an answer: what still comes is read for a moment, and thrown away.

A socket that is closed while bytes lie in it unread is reset, and the caller may never see what it
was told (RFC 9112, 9.6).
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

PARTING_S = 1.0
PARTING_BYTES = 1 << 24
"""Who sends more than this after an answer, or for longer, is reset."""


class Parting(asyncio.Protocol):
    """What becomes of a connection that has had its last answer."""

    def __init__(self, transport: Any, lost: Callable[[Exception | None], None]) -> None:  # noqa: ANN401 -- uvicorn says no more
        """From now on nothing that comes on this transport is read; `lost` is told its end."""
        self._transport = transport
        self._lost = lost
        self._left = PARTING_BYTES
        self._timer = asyncio.get_running_loop().call_later(PARTING_S, transport.abort)
        transport.set_protocol(self)
        transport.resume_reading()
        if transport.can_write_eof():
            with suppress(OSError):  # it has gone already
                transport.write_eof()

    def data_received(self, data: bytes) -> None:
        """Throw it away."""
        self._left -= len(data)
        if self._left < 0:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whose connection it was."""
        self._timer.cancel()
        self._lost(exc)
