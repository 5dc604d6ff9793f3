"""Sends requests when they are due, over kept connections, whatever the answers take.

One thread with one epoll and plain sockets: a request costs some 20 us of CPU, so that on two
cores the service keeps its own. A connection carries one request at a time, as HTTP asks of
POST; one that is due while all connections are busy waits, and its wait counts.
"""

from __future__ import annotations

import math
import re
import select
import socket
import time
from collections import Counter, deque
from typing import TYPE_CHECKING

from benchmarks.measuring.client import LENGTH, STATUS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType
    from typing import Any, Self

GRACE_S = 5.0
"""Whoever is not answered so long after the last request was due is not waited for."""
_CLOSES = re.compile(rb"\r\nconnection: *close\r\n", re.IGNORECASE)
_LONGEST_SLEEP_S = 0.1
_SIZE = 16_384


class Wire:
    """One connection; `due` is set while it waits for an answer."""

    __slots__ = ("context", "due", "free_s", "held", "lane", "socket")

    def __init__(self, lane: Lane, opened: socket.socket) -> None:
        """Nothing asked yet."""
        self.lane = lane
        self.socket = opened
        self.context: Any = None
        self.due = math.inf
        self.free_s = 0.0
        self.held = b""


class Lane:
    """Requests of one kind, and how they went.

    `due_s` counts from the start. `ask` is called when a request leaves, for its bytes and
    whatever `hear` then is to know when its status and all bytes of its answer are there.
    """

    def __init__(
        self,
        due_s: Sequence[float],
        connections: int,
        ask: Callable[[], tuple[bytes, Any]],
        hear: Callable[[Any, int, bytes], None],
    ) -> None:
        """Nothing sent yet."""
        self.due_s = due_s
        self.connections = connections
        self.ask = ask
        self.hear = hear
        self.at = 0
        self.idle: deque[Wire] = deque()
        self.latencies_s: list[float] = []
        self.lags_s: list[float] = []
        self.waited = 0
        self.in_time = 0
        self.broken: Counter[str] = Counter()


class OpenLoop:
    """Lanes side by side against one port; use it in `with`.

    What is due in the first `warm_s` seconds is sent, and not counted. Afterwards each lane has
    the latency of every request, from when it was due: one without an answer with what it has
    waited. Its `lags_s` are the generator's own fault: from when a request was due and had a
    connection until it left. `waited` had none; `in_time` were answered before the last was due.
    """

    def __init__(self, port: int, lanes: Sequence[Lane], warm_s: float = 0.0) -> None:
        """The port is on this machine."""
        self._port = port
        self._lanes = lanes
        self._warm_s = warm_s
        self._epoll = select.epoll()
        self._wires: dict[int, Wire] = {}
        self._ending = False

    def __enter__(self) -> Self:
        for lane in self._lanes:
            for _ in range(lane.connections):
                self._open(lane)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for wire in self._wires.values():
            wire.socket.close()
        self._epoll.close()

    def run(self) -> None:
        """Send everything, and hear what comes until `GRACE_S` after the last is due."""
        self._start = time.perf_counter()
        self._counted = self._start + self._warm_s
        self._last = self._start + max(lane.due_s[-1] for lane in self._lanes)
        watched = [self._epoll.fileno()]
        while (now := time.perf_counter()) < self._last + GRACE_S:
            if self._ending:
                self._stop(now)
            sleep = min([self._send(lane, now) for lane in self._lanes]) - time.perf_counter()
            if sleep > _LONGEST_SLEEP_S and self._over():
                break
            # Unlike epoll's, select's time-out is finer than a millisecond.
            if sleep <= 0 or select.select(watched, (), (), min(sleep, _LONGEST_SLEEP_S))[0]:
                for file, _ in self._epoll.poll(0):
                    self._receive(self._wires[file])
        self._give_up()

    def end(self) -> None:
        """Send nothing more, and hear what is under way; from another thread, too."""
        self._ending = True

    def _stop(self, now: float) -> None:
        """Forget what is not due yet."""
        for lane in self._lanes:
            lane.due_s = lane.due_s[: lane.at]
        self._last, self._ending = min(self._last, now), False

    def _over(self) -> bool:
        return all(
            lane.at == len(lane.due_s) and len(lane.idle) == lane.connections
            for lane in self._lanes
        )

    def _send(self, lane: Lane, now: float) -> float:
        """Send what is due; when the next is, or never where an answer has to come before."""
        due_s, idle, start = lane.due_s, lane.idle, self._start
        while lane.at < len(due_s):
            due = start + due_s[lane.at]
            if due > now:
                return due
            if not idle:
                break
            lane.at += 1
            wire = idle.popleft()
            request, wire.context = lane.ask()
            wire.due = due
            if due >= self._counted:
                self._count(lane, wire)
            try:
                wire.socket.send(request)
            except OSError:
                self._broke(wire)
            now = time.perf_counter()
        return math.inf

    def _count(self, lane: Lane, wire: Wire) -> None:
        late = wire.free_s > wire.due
        lane.waited += late
        lane.lags_s.append(time.perf_counter() - (wire.free_s if late else wire.due))

    def _receive(self, wire: Wire) -> None:
        try:
            data = wire.socket.recv(_SIZE)
        except OSError:
            data = b""
        now = time.perf_counter()
        if not data:
            self._broke(wire)
            return
        if wire.held:
            data = wire.held + data
        if not whole(data):
            wire.held = data
            return
        wire.held = b""
        self._answered(wire, now)
        wire.lane.hear(wire.context, int(data[STATUS]), data)
        if _CLOSES.search(data, 0, data.find(b"\r\n\r\n") + len(b"\r\n\r\n")):
            self._renew(wire)
        else:
            wire.lane.idle.append(wire)

    def _answered(self, wire: Wire, now: float) -> None:
        if wire.due >= self._counted:
            wire.lane.latencies_s.append(now - wire.due)
            wire.lane.in_time += now <= self._last
        wire.due, wire.free_s = math.inf, now

    def _broke(self, wire: Wire) -> None:
        """Another connection in its place; whoever was waiting for an answer has none."""
        if wire.due < math.inf:
            wire.lane.broken["connection lost"] += 1
            self._answered(wire, time.perf_counter())
        else:
            wire.lane.idle.remove(wire)
        self._renew(wire)

    def _renew(self, wire: Wire) -> None:
        del self._wires[wire.socket.fileno()]
        wire.socket.close()
        self._open(wire.lane)

    def _open(self, lane: Lane) -> None:
        opened = socket.create_connection(("127.0.0.1", self._port), timeout=GRACE_S)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        opened.setblocking(False)  # noqa: FBT003 -- its only form
        wire = self._wires[opened.fileno()] = Wire(lane, opened)
        self._epoll.register(opened.fileno(), select.EPOLLIN)
        lane.idle.append(wire)

    def _give_up(self) -> None:
        now = time.perf_counter()
        for wire in self._wires.values():
            if wire.due < math.inf:
                wire.lane.broken["no answer"] += 1
                self._answered(wire, now)
        for lane in self._lanes:
            left = [self._start + due for due in lane.due_s[lane.at :]]
            lane.broken["never sent"] += len(left)
            lane.latencies_s += [now - due for due in left if due >= self._counted]


def whole(data: bytes) -> bool:
    """Whether all of an answer is there."""
    head = data.find(b"\r\n\r\n")
    if head < 0:
        return False
    length = LENGTH.search(data, 0, head + 2)
    assert length is not None, "an answer without Content-Length"
    return len(data) >= head + 4 + int(length[1])
