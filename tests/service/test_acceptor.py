"""Accepting: what is left of it when it is over."""

from __future__ import annotations

import asyncio
import errno
import socket
from typing import Any, NoReturn

import pytest

from service.server import acceptor
from service.server.acceptor import Acceptor


class Refusing(socket.socket):
    """A socket in a process that may open no more files."""

    def accept(self) -> NoReturn:
        raise OSError(errno.EMFILE, "no file is left")


async def test_whom_it_cannot_accept_at_the_end_it_does_not_try_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(acceptor, "PAUSE_S", 0.0)
    loop = asyncio.get_running_loop()
    failed: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: failed.append(context))
    with Refusing() as listening:
        listening.bind(("127.0.0.1", 0))
        make: Any = None  # nobody gets in
        accepting = Acceptor(listening, make, None)
        accepting.open()
        await accepting.close()
    for _ in range(3):
        await asyncio.sleep(0)
    assert failed == []
