"""The newest figures for all who look on: made once for all of them, while there is anybody.

Whoever reads slowly is told less often, never late: of each kind of event there is only the newest.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

import structlog

from roster.errors import TooMany
from roster.times import format_ms, now_ms

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping

    from service.feed.log import FeedLog

STREAMS_A_KEY, STREAMS_MAX = 16, 64
RETRY_AFTER_MS = 10_000
LEAST_S, MOST_S, REST = 0.1, 0.5, 9
"""Between two rounds of one kind lies so many times what a round took, within these bounds."""

log = structlog.get_logger("clearway.live")


class Figures(NamedTuple):
    """Events of one kind: what makes one, how often, and whether every change asks for one."""

    make: Callable[[], Awaitable[bytes]]
    every_s: float
    on_change: bool = False


class Live:
    """The streams of one process."""

    def __init__(self, changes: FeedLog) -> None:
        """Nobody looks on, so nothing is made; `changes` says when there are any."""
        self._changes = changes
        self._open: Counter[str] = Counter()
        self._makers: list[asyncio.Task[None]] = []
        self._newest: dict[str, tuple[int, bytes]] = {}
        self._version = 0
        self._moved = asyncio.Event()
        self._ended = False

    @property
    def open(self) -> int:
        """How many streams there are now."""
        return self._open.total()

    @contextmanager
    def opened(self, key_id: str, sources: Mapping[str, Figures]) -> Iterator[None]:
        """One more stream of this key meanwhile; raises TooMany."""
        if self.open >= STREAMS_MAX:
            raise TooMany(RETRY_AFTER_MS, f"{STREAMS_MAX} streams are open here already")
        if self._open[key_id] >= STREAMS_A_KEY:
            raise TooMany(RETRY_AFTER_MS, f"this key has {STREAMS_A_KEY} streams open here already")
        self._open[key_id] += 1
        self._begin(sources)
        try:
            yield
        finally:
            self._open[key_id] -= 1
            self._open += Counter()  # keeps what is above zero
            if not self._open:
                self._stop()

    async def news(self, for_s: float) -> AsyncIterator[bytes]:
        """What is new, whenever the caller is ready for it: the newest event of each kind."""
        until_s, seen = time.monotonic() + for_s, 0
        while not self._ended:
            if self._version > seen:
                new = [event for version, event in self._newest.values() if version > seen]
                seen = self._version
                yield b"".join(new)
            elif (left_s := until_s - time.monotonic()) > 0:
                with suppress(TimeoutError):
                    async with asyncio.timeout(left_s):
                        await self._moved.wait()
            else:
                return

    def end(self) -> None:
        """Let every stream end: this process does."""
        self._ended = True
        self._tell()
        self._stop()

    def _begin(self, sources: Mapping[str, Figures]) -> None:
        if not self._makers and not self._ended:
            loop = asyncio.get_running_loop()
            making = (self._make(name, source) for name, source in sources.items())
            self._makers = [loop.create_task(each) for each in making]

    def _stop(self) -> None:
        """Make nothing any more, and keep nothing: it would be old for whoever comes later."""
        for maker in self._makers:
            maker.cancel()
        self._makers, self._newest = [], {}

    async def _make(self, name: str, source: Figures) -> None:
        """Never returns: makes one kind of event again and again."""
        while True:
            began_s, seen = time.monotonic(), self._changes.version
            try:
                self._show(name, await source.make())
            except Exception as exc:  # noqa: BLE001 -- whoever looks on would see it stand still
                log.error("no figures", kind=name, error=type(exc).__name__)  # noqa: TRY400 -- a message may hold what was sent
            rest_s = REST * (time.monotonic() - began_s)
            await asyncio.sleep(min(MOST_S, max(LEAST_S, rest_s)))
            await self._until(began_s + source.every_s, seen if source.on_change else None)

    def _show(self, name: str, event: bytes) -> None:
        self._version += 1
        self._newest[name] = self._version, event
        self._tell()

    def _tell(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()

    async def _until(self, at_s: float, seen: int | None) -> None:
        """Wait until then, or until there is a change behind the one that was seen."""
        left_s = at_s - time.monotonic()
        if left_s <= 0 or (seen is not None and seen != self._changes.version):
            return
        if seen is None:
            await asyncio.sleep(left_s)
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(left_s):
                await self._changes.turns.news()


def event(name: str, data: bytes) -> bytes:
    """An event as it is sent (WHATWG HTML, 9.2.5); its data is JSON, which has no line breaks."""
    return b"event: %s\nid: %s\ndata: %s\n\n" % (name.encode(), format_ms(now_ms()).encode(), data)
