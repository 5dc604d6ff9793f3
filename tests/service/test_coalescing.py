from __future__ import annotations

import asyncio
from typing import Any

from service.server.coalescing import CoalescingTransport


class Wire:
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        self.writes.append(data)

    def close(self) -> None:
        self.closed = True

    def get_extra_info(self, name: str) -> str:
        return f"the wire's {name}"


def corked() -> tuple[Wire, Any]:
    wire = Wire()
    return wire, CoalescingTransport(wire, asyncio.get_running_loop())


async def test_head_and_body_go_out_together() -> None:
    wire, cork = corked()
    cork.write(b"HTTP/1.1 200 OK\r\n\r\n")
    cork.write(b"{}")
    await asyncio.sleep(0)
    assert wire.writes == [b"HTTP/1.1 200 OK\r\n\r\n{}"]


async def test_a_head_without_a_body_goes_out_with_the_next_turn() -> None:
    wire, cork = corked()
    cork.write(b"HTTP/1.1 204 No Content\r\n\r\n")
    await asyncio.sleep(0)
    assert wire.writes == [b"HTTP/1.1 204 No Content\r\n\r\n"]


async def test_two_answers_keep_their_order() -> None:
    wire, cork = corked()
    for number in (b"1", b"2"):
        cork.write(b"HTTP/1.1 200 " + number)
        cork.write(b"body")
    await asyncio.sleep(0)
    assert wire.writes == [b"HTTP/1.1 200 1body", b"HTTP/1.1 200 2body"]


async def test_an_interim_head_goes_out_at_once_and_is_no_answer() -> None:
    wire, statuses = Wire(), list[int]()
    cork = CoalescingTransport(wire, asyncio.get_running_loop(), statuses.append)
    cork.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert (wire.writes, statuses) == ([b"HTTP/1.1 100 Continue\r\n\r\n"], [])
    cork.write(b"HTTP/1.1 200 OK\r\n\r\n")
    cork.write(b"{}")
    assert (wire.writes[1:], statuses) == ([b"HTTP/1.1 200 OK\r\n\r\n{}"], [200])


async def test_closing_loses_nothing() -> None:
    wire, cork = corked()
    cork.write(b"HTTP/1.1 500 ")
    cork.close()
    assert (wire.writes, wire.closed) == ([b"HTTP/1.1 500 "], True)
    assert cork.get_extra_info("peername") == "the wire's peername"
