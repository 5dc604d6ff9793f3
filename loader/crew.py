"""The worker processes of a load, or none where the file is too small to be worth them."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Self

from loader.worker import Worker, no_cycles, peak_bytes
from roster.errors import ClearwayError, LoadRefused

_LOOK_S = 1.0
_END_S = 10.0
_NOTHING = object()

Make = Callable[[int], Worker]
"""A worker by its number, which tells it from the load's other workers."""


class Crew:
    """Some workers; a context manager, at whose end all of them are gone."""

    def __init__(self, make: Make, jobs: int, look: Callable[[], None]) -> None:
        """`jobs` 0: this process itself works.

        `look` is called at least every second or task; what it raises ends the work.
        """
        self._look = look
        self._own = make(0) if jobs == 0 else None
        self._hands = [_Hand(make, number) for number in range(jobs)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._own is not None:
            self._own.close()
        for hand in self._hands:
            hand.release(at_once=kind is not None)
        for hand in self._hands:
            hand.end()

    def map(self, task: str, arguments: Iterable[Any]) -> Iterator[Any]:
        """The answers to a task for each argument, as they come; raises what a worker raised."""
        if self._own is None:
            yield from self._spread(task, arguments)
            return
        for argument in arguments:
            yield getattr(self._own, task)(argument)
            self._look()

    def _spread(self, task: str, arguments: Iterable[Any]) -> Iterator[Any]:
        """Whoever has nothing to do waits for a task, so all that is sent is also read.

        The next argument is made ready while the workers work.
        """
        queue, idle = iter(arguments), list(self._hands)
        busy: dict[Any, _Hand] = {}
        following = next(queue, _NOTHING)
        while busy or following is not _NOTHING:
            if idle and following is not _NOTHING:
                hand = idle.pop()
                hand.send(task, following)
                busy[hand.pipe] = hand
                following = next(queue, _NOTHING)
            more = bool(idle) and following is not _NOTHING
            for pipe in wait(list(busy), 0 if more else _LOOK_S):
                idle.append(busy.pop(pipe))
                yield idle[-1].receive()
            self._look()

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

    def __init__(self, make: Make, number: int) -> None:
        # Spawned, so that it holds no copies of our pipes: it ends when we do, however we end.
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self._process: BaseProcess = context.Process(
            target=_serve, args=(theirs, make, number), daemon=True
        )
        # Ctrl-C is for the parent, also while a worker is not yet ready to ignore it.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self._process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()

    def send(self, task: str, *arguments: Any) -> None:  # noqa: ANN401 -- the task's own
        """Nothing; the process, which waits for a task, has it. LoadRefused where it is gone."""
        try:
            self.pipe.send((task, arguments))
        except OSError:
            self._gone()

    def receive(self) -> Any:  # noqa: ANN401 -- the task's own
        """The task's answer; raises what the worker raised."""
        try:
            raised, answer = self.pipe.recv()
        except (EOFError, OSError):
            self._gone()
        if raised:
            raise answer
        return answer

    def release(self, *, at_once: bool) -> None:
        """Nothing; the process ends: once its task is done, or `at_once`."""
        if at_once:
            self._process.terminate()
        self.pipe.close()

    def end(self) -> None:
        """Nothing; the process, which was released, is gone."""
        self._process.join(_END_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def _gone(self) -> Any:  # noqa: ANN401 -- never returns
        self._process.join(_END_S)
        code = self._process.exitcode or 0
        how = signal.strsignal(-code) if code < 0 else f"status {code}"
        raise LoadRefused(
            f"a worker process of the load has ended ({how}): what was merged so far is "
            "consistent, and the same command again completes it"
        ) from None


def _serve(pipe: Connection, make: Make, number: int) -> None:
    """A worker's life: one task after the other, until the parent has no more or is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends us
    no_cycles()
    worker = make(number)
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
