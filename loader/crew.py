"""The worker processes of a load, or none where the file is too small to be worth them."""

from __future__ import annotations

import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Self

from loader.worker import Setup, Worker, no_cycles, peak_bytes
from roster.errors import ClearwayError, LoadRefused

_AHEAD = 2
"""Tasks sent to a worker before it has answered the first: it never waits for the parent."""
_BEAT_S = 1.0
_END_S = 10.0


class Crew:
    """Some workers; a context manager, at whose end all of them are gone."""

    def __init__(self, setup: Setup, jobs: int, beat: Callable[[], None]) -> None:
        """`jobs` 0: this process itself works. `beat` is called at least every second or task."""
        self._beat = beat
        self._own = Worker(setup, 0) if jobs == 0 else None
        self._hands = [_Hand(setup, number) for number in range(jobs)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._own is not None:
            self._own.close()
        for hand in self._hands:
            hand.end(at_once=kind is not None)

    def map(self, task: str, arguments: Iterable[Any]) -> Iterator[Any]:
        """The answers to a task for each argument, as they come; raises what a worker raised."""
        if self._own is None:
            yield from self._spread(task, arguments)
            return
        for argument in arguments:
            yield getattr(self._own, task)(argument)
            self._beat()

    def _spread(self, task: str, arguments: Iterable[Any]) -> Iterator[Any]:
        queue = iter(arguments)
        for _ in range(_AHEAD):
            for hand in self._hands:
                hand.send_next(task, queue)
        while busy := [hand for hand in self._hands if hand.waiting]:
            ready = wait([hand.pipe for hand in busy], _BEAT_S)
            for hand in [each for each in busy if each.pipe in ready]:
                answer = hand.receive()
                hand.send_next(task, queue)
                yield answer
            self._beat()

    def each(self, task: str) -> list[Any]:
        """Every worker's answer to a task."""
        if self._own is not None:
            return [getattr(self._own, task)()]
        for hand in self._hands:
            hand.send(task)
        return [hand.receive() for hand in self._hands]

    def peak_bytes(self) -> int:
        """The most memory that each of the processes has had, this one too, added up."""
        theirs: list[int] = self.each("peak_bytes") if self._own is None else []
        return sum(theirs) + peak_bytes()


class _Hand:
    """One process and the pipe to it."""

    def __init__(self, setup: Setup, number: int) -> None:
        # Spawned, so that it holds no copies of our pipes: it ends when we do, however we end.
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.waiting: deque[str] = deque()
        self._process: BaseProcess = context.Process(
            target=_serve, args=(theirs, setup, number), daemon=True
        )
        self._process.start()
        theirs.close()

    def send_next(self, task: str, queue: Iterator[Any]) -> None:
        """Nothing; the next argument, if there is one, is on its way."""
        for argument in queue:
            self.send(task, argument)
            break

    def send(self, task: str, *arguments: Any) -> None:  # noqa: ANN401 -- the task's own
        """Nothing; the task is on its way. Raises LoadRefused where the process is gone."""
        try:
            self.pipe.send((task, arguments))
        except OSError:
            self._gone()
        self.waiting.append(task)

    def receive(self) -> Any:  # noqa: ANN401 -- the task's own
        """The oldest task's answer; raises what the worker raised."""
        try:
            raised, answer = self.pipe.recv()
        except (EOFError, OSError):
            self._gone()
        self.waiting.popleft()
        if raised:
            raise answer
        return answer

    def end(self, *, at_once: bool) -> None:
        """Nothing; the process is gone."""
        if at_once:
            self._process.terminate()
        self.pipe.close()
        self._process.join(_END_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def _gone(self) -> Any:  # noqa: ANN401 -- never returns
        self._process.join(_END_S)
        code = self._process.exitcode
        raise LoadRefused(f"a worker process of the load has ended (status {code})") from None


def _serve(pipe: Connection, setup: Setup, number: int) -> None:
    """A worker's life: one task after the other, until the parent has no more or is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends us
    no_cycles()
    worker = Worker(setup, number)
    while True:
        try:
            task, arguments = pipe.recv()
        except (EOFError, OSError):
            break
        try:
            answer = False, getattr(worker, task)(*arguments)
        except ClearwayError as exc:
            answer = True, exc
        pipe.send(answer)
    worker.close()
