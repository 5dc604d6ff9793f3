"""One worker process of a load, from either end of the pipe to it."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import warnings
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any

from loader.crew.worker import Worker
from roster.errors import ClearwayError, LoadRefused

Make = Callable[[int], Worker]
"""A worker by its number, which tells it from the load's other workers."""

_FORK = multiprocessing.get_context("fork")
_END_S = 10.0
_STANDARD = 0, 1, 2


class Hand:
    """The process, as its parent has it: a copy of it, whose other threads have to be at rest."""

    def __init__(self, make: Make, number: int) -> None:
        self.pipe, theirs = Pipe()
        # A program of its own would first read for half a second what this one has read.
        self._process = _FORK.Process(target=serve, args=(theirs, make, number), daemon=True)
        # Ctrl-C is for the parent, also while a worker is not ready yet to ignore it.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            with warnings.catch_warnings():
                # Python warns of all threads, numpy's too: none of them holds what we need.
                warnings.simplefilter("ignore", DeprecationWarning)
                self._process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            theirs.close()

    def send(self, *message: Any) -> None:  # noqa: ANN401 -- the task's own
        """Nothing; the process, which waits for it, has it. Raises LoadRefused if it is gone."""
        try:
            self.pipe.send(message)
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
        if self._process.exitcode is None:
            self._process.kill()
        self._process.join()
        self._process.close()

    def _gone(self) -> Any:  # noqa: ANN401 -- never returns
        self._process.join(_END_S)
        code = self._process.exitcode or 0
        how = signal.strsignal(-code) if code < 0 else f"status {code}"
        raise LoadRefused(
            f"a worker process of the load has ended ({how}): what was merged so far is "
            "consistent, and the same command again completes it"
        ) from None


def serve(pipe: Connection, make: Make, number: int) -> None:
    """A worker's life: one task after the other, until the parent has no more or is gone."""
    _part_from_parent(pipe.fileno())
    worker = make(number)
    while True:
        try:
            task, *arguments = pipe.recv()
        except (EOFError, OSError):
            break
        try:
            answer = False, getattr(worker, task)(*arguments)
        except ClearwayError as exc:
            answer = True, exc
        pipe.send(answer)
    worker.close()
    os._exit(0)  # all is closed: to take everything apart would cost the load 0.1 s


def _part_from_parent(pipe: int) -> None:
    """Nothing; of what was copied only this pipe is open, and only the parent ends us."""
    gc.disable()  # rows are millions, and hold no cycles; what was copied stays as it is
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    # A copy of another worker's pipe would keep that one waiting when the parent is gone.
    for each in [int(path.name) for path in Path("/dev/fd").iterdir()]:
        if each not in {*_STANDARD, pipe}:
            with suppress(OSError):  # that of the list itself
                os.close(each)
