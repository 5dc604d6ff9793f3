"""One worker process of a load, from either end of the pipe to it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection, Pipe
from typing import Any

from loader.worker import Worker
from roster.errors import ClearwayError, LoadRefused

Make = Callable[[int], Worker]
"""A worker by its number, which tells it from the load's other workers."""

_PROGRAM = (
    "import gc, sys; gc.disable(); sys.path[:] = {path!r}; "
    "from loader.hand import serve; serve({pipe})"
)
_END_S = 10.0


class Hand:
    """The process, as its parent has it: first it says that it is there, and is sent a `Make`."""

    def __init__(self) -> None:
        # A program of its own, which has no copies of our other pipes: it ends when we do, however
        # we end. It would only cost time if it read what the main module reads.
        self.pipe, theirs = Pipe()
        # There is no collector: rows are millions, and hold no cycles.
        program = _PROGRAM.format(path=sys.path, pipe=theirs.fileno())
        # Ctrl-C is for the parent, also while a worker is not ready yet to ignore it.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self._process = subprocess.Popen(  # noqa: S603 -- ourselves
                [sys.executable, "-c", program],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
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
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _gone(self) -> Any:  # noqa: ANN401 -- never returns
        code = self._process.wait(_END_S)
        how = signal.strsignal(-code) if code < 0 else f"status {code}"
        raise LoadRefused(
            f"a worker process of the load has ended ({how}): what was merged so far is "
            "consistent, and the same command again completes it"
        ) from None


def serve(descriptor: int) -> None:
    """A worker's life: one task after the other, until the parent has no more or is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends us
    pipe = Connection(descriptor)
    try:
        pipe.send((False, None))
        make, number = pipe.recv()
    except (EOFError, OSError):
        return
    worker: Worker = make(number)
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
