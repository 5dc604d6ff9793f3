from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from benchmarks.measuring import lanes
from benchmarks.measuring.lanes import Lane, OpenLoop, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
STALL_S = 0.3
Heard = list[tuple[object, int, bytes]]


@contextmanager
def server(answer: Callable[[socket.socket, int], None]) -> Iterator[int]:
    """The port of a server that gives each connection a thread, and each request to `answer`."""
    threads: list[threading.Thread] = []

    def serve(caller: socket.socket) -> None:
        with caller:
            for number in range(1_000):
                if not caller.recv(100):
                    return
                answer(caller, number)

    def accept() -> None:
        while True:
            try:
                caller, _ = listening.accept()
            except OSError:
                return
            threads.append(threading.Thread(target=serve, args=(caller,)))
            threads[-1].start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield listening.getsockname()[1]
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            accepting.join()
    for thread in threads:
        thread.join()


def asked(due_s: list[float], heard: Heard, connections: int = 1) -> Lane:
    numbers = iter(range(1_000))
    return Lane(
        due_s,
        connections,
        lambda: (b"?", next(numbers)),
        lambda *each: heard.append(each),
    )


def at_once(caller: socket.socket, number: int) -> None:
    caller.sendall(ANSWER)


def test_every_answer_is_heard_with_what_was_asked() -> None:
    heard: Heard = []
    lane = asked([0.0, 0.001, 0.002, 0.003], heard, connections=2)
    with server(at_once) as port, OpenLoop(port, [lane]) as loop:
        loop.run()
    assert sorted(heard, key=str) == [(number, 200, ANSWER) for number in range(4)]
    assert len(lane.latencies_s) == len(lane.lags_s) == 4
    assert not +lane.broken


def test_what_a_stall_keeps_waiting_has_the_stall_in_its_latency() -> None:
    def stall(caller: socket.socket, number: int) -> None:
        if number == 0:
            threading.Event().wait(STALL_S)
        caller.sendall(ANSWER)

    lane = asked([0.0, 0.01, 0.02], [])
    with server(stall) as port, OpenLoop(port, [lane]) as loop:
        loop.run()
    assert [latency > STALL_S - 0.03 for latency in lane.latencies_s] == [True] * 3
    assert lane.waited == 2


def test_the_generators_own_lag_is_measured_apart() -> None:
    def ask() -> tuple[bytes, None]:
        threading.Event().wait(STALL_S / 3)
        return b"?", None

    lane = Lane([0.0, 0.0], 2, ask, lambda *_: None)
    with server(at_once) as port, OpenLoop(port, [lane]) as loop:
        loop.run()
    assert lane.lags_s[0] > STALL_S / 3
    assert lane.lags_s[1] > STALL_S / 3 * 2
    assert lane.waited == 0


def test_an_answer_in_pieces_is_one() -> None:
    def pieces(caller: socket.socket, number: int) -> None:
        for piece in (ANSWER[:9], ANSWER[9:30], ANSWER[30:-1], ANSWER[-1:]):
            caller.sendall(piece)
            threading.Event().wait(0.01)

    heard: Heard = []
    lane = asked([0.0, 0.001], heard)
    with server(pieces) as port, OpenLoop(port, [lane]) as loop:
        loop.run()
    assert heard == [(0, 200, ANSWER), (1, 200, ANSWER)]


def test_a_connection_that_is_lost_is_told_and_replaced() -> None:
    def once(caller: socket.socket, number: int) -> None:
        if number == 1:
            caller.shutdown(socket.SHUT_RDWR)
        else:
            caller.sendall(ANSWER)

    heard: Heard = []
    lane = asked([0.0, 0.001, 0.002], heard)
    with server(once) as port, OpenLoop(port, [lane]) as loop:
        loop.run()
    assert [number for number, _, _ in heard] == [0, 2]
    assert dict(+lane.broken) == {"connection lost": 1}
    assert len(lane.latencies_s) == 3


def test_an_answer_that_ends_its_connection_is_followed_by_a_new_one() -> None:
    callers: list[int] = []

    def parting(caller: socket.socket, number: int) -> None:
        callers.append(number)
        caller.sendall(ANSWER.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))

    heard: Heard = []
    lane = asked([0.0, 0.001, 0.002], heard)
    with server(parting) as port, OpenLoop(port, [lane]) as loop:
        loop.run()
    assert [number for number, _, _ in heard] == [0, 1, 2]
    assert callers == [0, 0, 0]
    assert not +lane.broken


def test_a_loop_that_is_told_to_end_sends_nothing_more() -> None:
    heard: Heard = []
    lane = asked([0.0, 0.001, 60.0], heard)
    with server(at_once) as port, OpenLoop(port, [lane]) as loop:

        def hear(*each: object) -> None:
            heard.append((each[0], 200, ANSWER))
            if len(heard) == 2:
                loop.end()

        lane.hear = hear
        loop.run()
    assert [number for number, _, _ in heard] == [0, 1]
    assert not +lane.broken


def test_who_is_never_answered_is_counted_with_the_time_waited(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lanes, "GRACE_S", STALL_S)
    lane = asked([0.0, 0.01, 0.02], [])
    with server(lambda *_: None) as port, OpenLoop(port, [lane]) as loop:
        loop.run()
    assert dict(+lane.broken) == {"no answer": 1, "never sent": 2}
    assert [latency >= STALL_S for latency in lane.latencies_s] == [True] * 3
    assert lane.in_time == 0


def test_the_first_seconds_are_not_counted() -> None:
    heard: Heard = []
    lane = asked([0.0, 0.01, 0.05], heard)
    with server(at_once) as port, OpenLoop(port, [lane], warm_s=0.04) as loop:
        loop.run()
    assert len(heard) == 3
    assert len(lane.latencies_s) == len(lane.lags_s) == 1


def test_an_answer_is_whole_with_all_of_its_body() -> None:
    assert [whole(ANSWER[:size]) for size in range(len(ANSWER) + 1)] == [
        *[False] * len(ANSWER),
        True,
    ]
