"""What a worker and its supervisor tell each other, as the worker sees it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from roster.errors import Unavailable
from service.metrics.families import Family

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

READY, RETIRE, STATE = b"ready", b"retire", b"state"
"""A worker accepts; it is to end; it is to say what it has counted."""
STATED, ASKED, ADDED_UP = b"=", b"?", b"+"
"""Before families: what a worker has counted; and wants to know of all; and is told of all."""
WITHIN_S = 3.0

pack = msgspec.msgpack.Encoder().encode
unpack = msgspec.msgpack.Decoder(list[Family]).decode


class Link:
    """A worker's end of the link; `own` is what it has counted."""

    def __init__(self, connection: Connection) -> None:
        """Nothing is heard before `open`."""
        self._connection = connection
        self._answer: asyncio.Future[list[Family]] | None = None
        self.own: Callable[[], list[Family]] = list

    def open(self, on_end: Callable[[bool], None]) -> None:
        """Listen; `on_end` hears that the worker is to end, and whether it was told to retire."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._connection.fileno(), self._hear, on_end)

    def ready(self) -> None:
        """Say that this worker accepts."""
        self._send(READY)

    def state(self) -> None:
        """Say what this worker has counted."""
        self._send(STATED + pack(self.own()))

    async def together(self, own: list[Family]) -> list[Family]:
        """What all workers have counted, this one so; raises Unavailable.

        Whoever asks before an answer has come shares it: more questions would fill the link,
        and whoever writes into a full one stands still, checks and all.
        """
        answer = self._answer
        if answer is None or answer.done():
            answer = self._answer = asyncio.get_running_loop().create_future()
            self._send(ASKED + pack(own))
        await asyncio.wait({answer}, timeout=WITHIN_S)  # it is not ended with one who asks
        if not answer.done():
            raise Unavailable("what all workers have counted is not known now")
        return answer.result()

    def _hear(self, on_end: Callable[[bool], None]) -> None:
        try:
            message = self._connection.recv_bytes()
        except (EOFError, OSError):  # the supervisor has died
            asyncio.get_running_loop().remove_reader(self._connection.fileno())
            on_end(False)  # noqa: FBT003 -- it is a callback's
            return
        if message == STATE:
            self.state()
        elif message == RETIRE:
            on_end(True)  # noqa: FBT003 -- it is a callback's
        elif self._answer is not None:
            self._answer.set_result(unpack(message[len(ADDED_UP) :]))

    def _send(self, message: bytes) -> None:
        with suppress(OSError):  # the supervisor has died: it will be heard of
            self._connection.send_bytes(message)
