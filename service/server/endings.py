"""How a connection ends: when its time is over, when the process ends, or with an error.

An idle one ends only where no request lies in its socket. Who does not read its answers is cut off
after a while. What was asked before an error is answered before it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.server.heads import HEAD_MAX_BYTES
from service.server.parting import Parting
from service.server.sockets import unread, unsent
from service.web.bodies import BODY_MAX_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

    from httptools import HttpRequestParser

    from service.server.admission import ServerContext

IDLE_GRACE_S = 1.0
"""An idle connection is kept so much longer than is promised, so that the caller ends it first."""
SILENT_S, UNHEARD_S = 0.1, 1.0
"""Who keeps a place that others wait for has so long to say something, and to say all of it."""
BODY_MAX_SENT = 2 * BODY_MAX_BYTES
"""A body may be so long as it is sent, in chunks and with what lies between them."""
LEAST_READ = 16 * 1024
"""Who has not read so much of what waits for him, nor all of it, has read nothing."""


class Deaf:
    """A parser of what comes behind an error: nothing of it is read."""

    def feed_data(self, data: bytes) -> None:
        """Throw it away."""


class Endings(HttpToolsProtocol):
    """What has to be known of a connection to end it; how it reads and answers, a subclass says.

    `left` is called when it is over; once it has `parted` it waits for the caller's end only.
    """

    context: ServerContext
    left: Callable[[], None]
    parted = False
    _nothing_asked = True
    _unread = b""  # what came, and waits as it is
    _latest_cycle: Any = None
    _unsent = _unsent_before = 0
    _chunk_bytes = 0
    _later_bytes = 0  # of the message under way, but for the chunk in which it began
    _phase = "head"
    _since = 0.0  # of the loop's clock; 0 until a sweep has seen the phase

    def connection_lost(self, exc: Exception | None) -> None:
        """Make room for another; what is under way need not be told any more."""
        self.give_up()
        super().connection_lost(exc)
        self.left()

    def shutdown(self) -> None:
        """End with the answer that is under way; an idle connection stays for a moment."""
        cycles: list[Any] = [self.cycle, *(waiting for waiting, _ in self.pipeline)]
        for cycle in filter(None, cycles):
            cycle.keep_alive = False

    def sweep(self) -> None:
        """End the connection where its time is over."""
        now_s = self.loop.time()
        age_s, kept = now_s - self._since, unsent(self.transport)
        moved = (
            kept > self._unsent
            or kept <= self._unsent_before - LEAST_READ
            or bool(self._unsent and not kept)
        )
        self._unsent = kept
        if not self._since or moved or (self.flow.read_paused and not kept):
            self._unsent_before, self._since = kept, now_s  # something has moved, or we are slow
        elif kept:
            if age_s > self.context.body_s:
                self.transport.abort()
        elif self._phase == "head":
            if age_s > self.context.head_s:
                self.refuse(408)
        elif self._phase == "body":
            if age_s > self.context.body_s:
                self.refuse(408)
        elif self.idle and age_s > self.context.keep_alive_s + IDLE_GRACE_S:
            self.close_if_quiet()

    @property
    def idle(self) -> bool:
        """Whether nothing has been asked that is not answered yet."""
        if not self._phase:
            return self.cycle.response_complete and not (self.pipeline or self._unread)
        return self._nothing_asked

    def lingers(self, since_s: float) -> bool:
        """Whether it has had time enough, from then on, for a request that has not come whole."""
        waited_s = self.loop.time() - since_s
        if self._nothing_asked:
            return waited_s > SILENT_S and not unread(self.transport)
        return waited_s > UNHEARD_S and self._phase in {"head", "body"}

    def close_if_quiet(self) -> None:
        """Close, but where a request lies in the socket already: it is answered first."""
        if not unread(self.transport):
            self.transport.close()

    def refuse(self, status: int, detail: str = "") -> None:
        """End with an error that is not about a whole request."""
        raise NotImplementedError

    def part(self) -> None:
        """End with the answer that was written last: nothing that follows is read or begun."""
        self.parted, self._phase = True, "over"
        Parting(self.transport, self.connection_lost)

    def bound_size(self) -> None:
        """End the connection where what has come of a request is too much."""
        self._later_bytes += self._chunk_bytes
        if self._phase == "head":
            if self._later_bytes > HEAD_MAX_BYTES and not self._nothing_asked:
                self.refuse(431)
        elif self._later_bytes > BODY_MAX_SENT and self._phase == "body":
            self.refuse(413)

    def ends_later(self, bad: Any) -> bool:  # noqa: ANN401 -- uvicorn's
        """Whether there are answers still to be given, of which the last ends the connection."""
        if self.pipeline and self.pipeline[0][0] is bad:
            self.pipeline.popleft()
        last = self.pipeline[0][0] if self.pipeline else self._latest_cycle
        if last is None or last is bad or last.response_complete:
            return False
        last.keep_alive = False
        self.parser, self._phase = cast("HttpRequestParser", Deaf()), "over"
        return True

    def give_up(self) -> None:
        """Let nobody be told what is under way."""
        begun = self._latest_cycle
        if begun is not None and not begun.response_complete:
            begun.disconnected = True
            begun.message_event.set()
