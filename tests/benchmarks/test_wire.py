from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from benchmarks.users.wire import Service, Wire

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
CHUNKED = b"HTTP/1.1 429 No\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n"


class Server:
    """Gives each connection its answers and hangs up; what it was asked stays here."""

    def __init__(self, *connections: tuple[bytes, ...]) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}/behind"
        self.asked: list[bytes] = []
        self._thread = threading.Thread(target=self._serve, args=connections)
        self._thread.start()

    def _serve(self, *connections: tuple[bytes, ...]) -> None:
        for answers in connections:
            connection, _ = self._listening.accept()
            with connection:
                for answer in answers:
                    self.asked.append(connection.recv(65_536))
                    connection.sendall(answer)

    def close(self) -> None:
        self._thread.join()
        self._listening.close()


@pytest.fixture
def wires() -> Iterator[list[Wire]]:
    made: list[Wire] = []
    yield made
    for wire in made:
        wire.close()


def test_a_request_is_sent_once_more_where_the_connection_has_ended(wires: list[Wire]) -> None:
    server = Server((ANSWER,), (ANSWER, ANSWER))
    wire = Wire(Service(server.url, "key"), 10.0)
    wires.append(wire)
    replies = [wire.post("/v1/check", b"{}") for _ in range(3)]
    server.close()
    assert [(reply.status, reply.body) for reply in replies] == [(200, b"{}")] * 3
    assert len(server.asked) == 3
    assert server.asked[0].startswith(b"POST /behind/v1/check HTTP/1.1\r\n")
    assert b"\r\nAuthorization: Bearer key\r\n" in server.asked[0]
    assert server.asked[0].endswith(b"\r\n\r\n{}")


def test_an_answer_in_chunks_of_any_status_is_read(wires: list[Wire]) -> None:
    server = Server((CHUNKED,))
    wire = Wire(Service(server.url, "key"), 10.0)
    wires.append(wire)
    reply = wire.get("/v1/changes?after=now")
    server.close()
    assert (reply.status, reply.body, reply.fault) == (429, b"{}", "")
    assert server.asked[0].startswith(b"GET /behind/v1/changes?after=now HTTP/1.1\r\n")


def test_no_answer_is_told_in_words(wires: list[Wire]) -> None:
    server = Server((b"",))
    wire = Wire(Service(server.url, "key"), 10.0)
    wires.append(wire)
    assert wire.get("/v1/changes").fault.startswith("no answer: ")
    server.close()


def test_that_nobody_listens_is_told_in_words() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        fault = Wire(Service(url, "key"), 10.0).get("/v1/changes").fault
    assert fault == "no answer: ConnectionRefusedError"


def test_a_key_is_not_shown() -> None:
    assert "secret" not in repr(Service("http://127.0.0.1", "secret"))
