"""The worker processes of a load and their tasks; none where a file is too small for any."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import resource
import signal
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import cached_property
from multiprocessing.connection import Connection, Pipe, wait
from pathlib import Path
from typing import Any, Self

import msgspec

from loader.files.sources import sheet_of
from loader.rows.packed_rows import Context
from loader.rows.scatter import Piece, Scatter, ScatterResult
from roster.errors import ClearwayError, LoadRefused
from roster.redis.nodes import bulk_nodes
from roster.redis.target import Target
from roster.storage.store import Store
from roster.times import DAY_MS

Task = tuple[Any, ...]
"""What is asked about a partition: a coroutine function of store, job, folder and more; the job
and what more there is."""
_FORK = multiprocessing.get_context("fork")
_END_S = 10.0
_STANDARD = 0, 1, 2
_LOOK_S = 1.0
_NOTHING = object()


class Setup(msgspec.Struct, frozen=True):
    """Where a worker reads and writes."""

    context: Context
    folder: Path
    target: Target
    audit_days: int


class LoadWorker:
    """A load's work in one process."""

    def __init__(self, setup: Setup, number: int) -> None:
        """`number` tells it from the load's other workers."""
        self._setup = setup
        self._number = number
        self._runner: asyncio.Runner | None = None

    @cached_property
    def _scatter(self) -> Scatter:
        return Scatter(self._setup.context, self._setup.folder, self._number)

    @cached_property
    def _store(self) -> Store:
        nodes, tokeniser = bulk_nodes(self._setup.target), self._setup.context.tokeniser
        return Store(nodes, tokeniser, keep_ms=self._setup.audit_days * DAY_MS)

    def read(self, piece: Piece) -> int:
        """Put the piece's rows aside; return how many it has."""
        sheet = sheet_of(piece.block, piece.layout)
        return self._scatter.read(piece, sheet)

    def close_scatter(self) -> ScatterResult:
        """What this process has read; no more is to come."""
        return self._scatter.close()

    def run(self, task: Task) -> Any:  # noqa: ANN401 -- the task's own
        """What the task comes to."""
        function, job, *more = task
        if self._runner is None:
            self._runner = asyncio.Runner()
        return self._runner.run(function(self._store, job, self._setup.folder, *more))

    def peak_bytes(self) -> int:
        """The most memory that this process has had."""
        return peak_bytes()

    def close(self) -> None:
        """Close its connections and files."""
        self._scatter.abandon()
        if self._runner is not None:
            self._runner.run(self._store.nodes.close())
            self._runner.close()
            self._runner = None


def peak_bytes() -> int:
    """The most memory that this process has had, as the kernel counts it (getrusage(2))."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


Make = Callable[[int], LoadWorker]
"""A worker by its number, which tells it from the load's other workers."""


class WorkerProcess:
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
        """Give a task to the process, which waits for it; raises LoadRefused if it is gone."""
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
        """Let the process end: once its task is done, or `at_once`."""
        if at_once:
            self._process.terminate()
        self.pipe.close()

    def end(self) -> None:
        """Wait until the process, which was released, is gone."""
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
    """Close all that was copied but this pipe; from here on only the parent ends us."""
    gc.disable()  # rows are millions, and hold no cycles; what was copied stays as it is
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    # A copy of another worker's pipe would keep that one waiting when the parent is gone.
    for each in [int(path.name) for path in Path("/dev/fd").iterdir()]:
        if each not in {*_STANDARD, pipe}:
            with suppress(OSError):  # that of the list itself
                os.close(each)


class Crew:
    """Some workers; a context manager, at whose end all of them are gone."""

    def __init__(self, make: Make, jobs: int, look: Callable[[], None]) -> None:
        """`jobs` 0: this process itself works.

        `look` is called at least every second or task; what it raises ends the work.
        """
        self._look = look
        self._own = make(0) if jobs == 0 else None
        self._processes = [WorkerProcess(make, number) for number in range(jobs)]
        self._idle = list(self._processes)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._own is not None:
            self._own.close()
        for process in self._processes:
            process.release(at_once=kind is not None)
        for process in self._processes:
            process.end()

    def map(self, task: str, arguments: Iterable[Any]) -> Iterator[Any]:
        """The answers to a task for each argument, as they come; raises what a worker raised."""
        if self._own is None:
            yield from self._spread(task, arguments)
            return
        for argument in arguments:
            yield getattr(self._own, task)(argument)
            self._look()

    def _spread(self, task: str, arguments: Iterable[Any]) -> Iterator[Any]:
        """Only who waits for it is sent a task: whatever its size, it is read.

        The next argument is made ready while the workers work.
        """
        queue = iter(arguments)
        busy: dict[Any, WorkerProcess] = {}
        following = next(queue, _NOTHING)
        while busy or following is not _NOTHING:
            if self._idle and following is not _NOTHING:
                process = self._idle.pop()
                process.send(task, following)
                busy[process.pipe] = process
                following = next(queue, _NOTHING)
            more = bool(self._idle) and following is not _NOTHING
            for pipe in wait(list(busy), 0 if more else _LOOK_S):
                process = busy.pop(pipe)
                answer = process.receive()
                self._idle.append(process)
                yield answer
            self._look()

    def each(self, task: str) -> list[Any]:
        """The answer to a task of every worker."""
        if self._own is not None:
            return [getattr(self._own, task)()]
        for process in self._processes:
            process.send(task)
        return [process.receive() for process in self._processes]

    def peak_bytes(self) -> int:
        """The most memory that each of the processes has had, this one too, added up."""
        theirs: list[int] = self.each("peak_bytes") if self._own is None else []
        return sum(theirs) + peak_bytes()
