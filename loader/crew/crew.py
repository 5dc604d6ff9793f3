"""The worker processes of a load, or none where the file is too small to be worth them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import wait
from typing import Any, Self

from loader.crew.hand import Hand, Make
from loader.crew.worker import peak_bytes

_LOOK_S = 1.0
_NOTHING = object()


class Crew:
    """Some workers; a context manager, at whose end all of them are gone."""

    def __init__(self, make: Make, jobs: int, look: Callable[[], None]) -> None:
        """`jobs` 0: this process itself works.

        `look` is called at least every second or task; what it raises ends the work.
        """
        self._look = look
        self._own = make(0) if jobs == 0 else None
        self._hands = [Hand(make, number) for number in range(jobs)]
        self._idle = list(self._hands)

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
        """Only who waits for it is sent a task: whatever its size, it is read.

        The next argument is made ready while the workers work.
        """
        queue = iter(arguments)
        busy: dict[Any, Hand] = {}
        following = next(queue, _NOTHING)
        while busy or following is not _NOTHING:
            if self._idle and following is not _NOTHING:
                hand = self._idle.pop()
                hand.send(task, following)
                busy[hand.pipe] = hand
                following = next(queue, _NOTHING)
            more = bool(self._idle) and following is not _NOTHING
            for pipe in wait(list(busy), 0 if more else _LOOK_S):
                hand = busy.pop(pipe)
                answer = hand.receive()
                self._idle.append(hand)
                yield answer
            self._look()

    def each(self, task: str) -> list[Any]:
        """The answer to a task of every worker."""
        if self._own is not None:
            return [getattr(self._own, task)()]
        for hand in self._hands:
            hand.send(task)
        return [hand.receive() for hand in self._hands]

    def peak_bytes(self) -> int:
        """The most memory that each of the processes has had, this one too, added up."""
        theirs: list[int] = self.each("peak_bytes") if self._own is None else []
        return sum(theirs) + peak_bytes()
