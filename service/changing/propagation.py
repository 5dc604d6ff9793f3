"""What is safe told to every process, and seen to be applied there.

One ring of the bell, and one look at the processes, is for all who are there at the moment. A
process has applied a change where it stands at or behind it on the log of now: what stood
on a log that a fail-over has lost says nothing.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import structlog

from roster.errors import ClearwayError, Unavailable
from roster.records.position import newest
from roster.storage.logs import still_logged
from roster.times import boot_s

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from roster.records.position import Position
    from roster.storage.processes import Process, Processes
    from roster.storage.store import Store

NOTE_EVERY_S = 0.25
SOONEST_S = 0.002
"""Until the next look: a change reaches a process and comes back in a few of these."""
LATEST_S = 0.05
FIRST_S = 1.0
"""So long a first look may take, however short the wait: what is safe is no 503 for it."""
SHARE_OF_WAIT = 0.1
"""Who has waited long for a process waits a little longer between looks."""
SPARE_S = 1.0
"""So long after their time at the latest everybody is told, whatever becomes of the looks."""

log = structlog.get_logger("clearway.confirming")

Confirmations = dict[str, list[str]]


class Notifier:
    """Rings for one process; nobody who changes something waits for it.

    What was changed is safe already, and polls come without the doorbell too.
    """

    def __init__(self, store: Store, processes: Processes) -> None:
        """Notes in `store`, rings for `processes`."""
        self._store = store
        self._processes = processes
        self._untold: list[Position] = []
        self._unnoted: list[Position] = []
        self._joining: list[bytes] = []
        self._wanted = False
        self._ringing: asyncio.Task[None] | None = None

    def tell(
        self,
        positions: Iterable[Position],
        joining: Iterable[bytes] = (),
        *,
        wanted: bool = False,
    ) -> None:
        """Ring the bell in a moment, once for all that came while it last rang.

        `joining` are the tokens of people who are on a list now; `wanted` says whether somebody
        waits for every process to have applied it.
        """
        self._untold += positions
        self._joining += joining
        self._wanted = self._wanted or wanted
        if self._ringing is None or self._ringing.done():
            self._ringing = asyncio.create_task(self._ring())

    async def note(self) -> None:
        """Let polls tell what was told until now; to be called every `NOTE_EVERY_S`.

        A process that is just connecting again has missed the bell. Raises Unavailable.
        """
        positions, self._unnoted = newest(self._unnoted), []
        try:
            await self._store.acknowledge(positions)
        except BaseException:
            self._unnoted += positions
            raise

    async def close(self) -> None:
        """Tell what is left; raises Unavailable."""
        if self._ringing is not None:
            await self._ringing
        await self.note()

    async def _ring(self) -> None:
        while self._untold:
            positions, self._untold = newest(self._untold), []
            joining, self._joining = self._joining, []
            wanted, self._wanted = self._wanted, False
            self._unnoted += positions
            with suppress(ClearwayError):
                await self._processes.ring(positions, joining, wanted=wanted)


class _WaitingRequest:
    """Somebody who waits for every process to have applied these positions."""

    def __init__(self, positions: Iterable[Position], timeout_s: float) -> None:
        self.positions = newest(positions)
        self.since_s = boot_s()
        self.until_s = self.since_s + timeout_s
        self.done: asyncio.Future[Confirmations] = asyncio.get_running_loop().create_future()
        self.last: Confirmations | None = None

    @property
    def due_s(self) -> float:
        """When they are told what was seen last."""
        return max(self.until_s, self.since_s + FIRST_S) if self.last is None else self.until_s

    def end(self, error: ClearwayError | None = None) -> None:
        """Give them what was seen last, or the error where nothing was."""
        if self.done.done():
            return
        if self.last is None:
            self.done.set_exception(error or Unavailable("Redis did not answer in time"))
        else:
            self.done.set_result(self.last)


class _Look(NamedTuple):
    """Who is live, and which of their positions the logs of now go through."""

    live: Sequence[Process]
    here: frozenset[Position]

    def confirmation(self, positions: Sequence[Position]) -> Confirmations:
        """Who has applied these positions, and who has not."""
        missing = sorted(each.id for each in self.live if not self._has(each, positions))
        confirmed = sorted({each.id for each in self.live} - set(missing))
        return {"confirmed": confirmed, "missing": missing}

    def _has(self, process: Process, positions: Sequence[Position]) -> bool:
        stands = ((process.at(position.partition), position) for position in positions)
        return all(
            there == wanted or (there.includes(wanted) and self._vouched(there, wanted))
            for there, wanted in stands
        )

    def _vouched(self, there: Position, wanted: Position) -> bool:
        """Whether both stand on the log of now; a history is followed by nothing but newer ones."""
        if there not in self.here:
            return False
        return wanted in self.here or wanted.history < there.history


class Confirmer:
    """Looks at the list of processes for everybody who waits at the moment, in one go."""

    def __init__(self, store: Store, processes: Processes) -> None:
        """`processes` are the list's, `store` knows the logs."""
        self._store = store
        self._processes = processes
        self._waiting: list[_WaitingRequest] = []
        self._looking: asyncio.Task[None] | None = None
        self._come = asyncio.Event()

    async def confirmed(self, positions: Iterable[Position], timeout_ms: int) -> Confirmations:
        """Which live processes have applied these positions, and which have not in time.

        Raises Unavailable where that could not be seen.
        """
        waiting = _WaitingRequest(positions, timeout_ms / 1000)
        self._waiting.append(waiting)
        self._come.set()
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look_on())
        try:
            await asyncio.wait([waiting.done], timeout=max(timeout_ms / 1000, FIRST_S) + SPARE_S)
            waiting.end()
            return waiting.done.result()
        finally:
            waiting.done.cancel()
            if waiting in self._waiting:
                self._waiting.remove(waiting)

    async def _look_on(self) -> None:
        """Look again and again while somebody waits; only at what they had seen changed."""
        while self._waiting:
            self._come.clear()
            began_with = list(self._waiting)
            await self._tell(began_with)
            self._waiting = [each for each in self._waiting if not each.done.done()]
            if self._waiting:
                await self._pause()

    async def _tell(self, waiting: Sequence[_WaitingRequest]) -> None:
        """One look for these; an error counts only for those whose time is up.

        One that nobody has foreseen would come again, and counts for all.
        """
        error: ClearwayError | None = None
        hopeless = False
        soonest_s = min(each.due_s for each in waiting)
        try:
            async with asyncio.timeout(max(SOONEST_S, soonest_s - boot_s())):
                look = await self._look(waiting)
            for each in waiting:
                each.last = look.confirmation(each.positions)
        except TimeoutError:
            error = Unavailable("Redis did not answer in time")
        except ClearwayError as exc:
            error = exc
        except Exception as exc:  # noqa: BLE001 -- whoever waits must hear of it
            log.error("look at the processes failed", error=type(exc).__name__)  # noqa: TRY400 -- a message may hold what was sent
            error, hopeless = Unavailable("the processes could not be looked at"), True
        now_s = boot_s()
        for each in waiting:
            seen = error is None and each.last and not each.last["missing"]
            if hopeless or seen or now_s >= each.due_s:
                each.end(error)

    async def _look(self, waiting: Sequence[_WaitingRequest]) -> _Look:
        live = await self._processes.live()
        wanted = {position for each in waiting for position in each.positions}
        doubtful: set[Position] = set()
        for process in live:
            for position in wanted:
                there = process.at(position.partition)
                if there != position and there.includes(position):
                    doubtful.update((there, position))
        return _Look(live, frozenset(await still_logged(self._store, doubtful)))

    async def _pause(self) -> None:
        """Wait a little, less where somebody has just come."""
        youngest_s = boot_s() - max(each.since_s for each in self._waiting)
        soonest_s = min(each.due_s for each in self._waiting) - boot_s()
        pause_s = min(LATEST_S, max(SOONEST_S, youngest_s * SHARE_OF_WAIT), max(0.0, soonest_s))
        try:
            async with asyncio.timeout(pause_s):
                await self._come.wait()
        except TimeoutError:
            return
