"""One HTTP/1.1 connection: uvicorn's protocol, and what callers of all kinds need besides.

An offered upgrade is ignored, as RFC 9110, 7.8 has it, and the request answered: httptools loses
its body, so its head is read again without the offer. Heads and bodies have to come within a
time and a size. Who does not read its answers is asked for no more until there is room. One sweep a
moment looks at all connections, and says from when on the time of what it finds counts; a timer for
each request, or a look at the clock at each of its steps, would cost more.
"""

from __future__ import annotations

import ssl
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import httptools
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT

from service.metrics.counters import UNREAD
from service.routes.checks import CHECK, HOT, respond, respond_at_once
from service.routes.live import STREAM
from service.server.admission import CONTENDED, FREE
from service.server.certificates import fingerprint
from service.server.coalescing import CoalescingTransport
from service.server.crowding import CHECKS, MOST_UNREAD_BYTES
from service.server.endings import Endings
from service.server.heads import (
    HEAD_MAX_BYTES,
    HEADERS_MAX,
    USUAL_CODINGS,
    USUAL_TYPES,
    fault,
    key_in,
    without_offer,
)
from service.web.auth import CERT_SCOPE, authorization
from service.web.bodies import JSON_HEADERS, WholeResponse
from service.web.problems import status_bytes

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Coroutine


class _HeadRefused(Exception):  # noqa: N818 -- it ends what the parser does, and is no error of ours
    """A head is well-formed and yet refused, with this status."""


class Protocol(Endings):
    """A caller's connection; `surplus` ones, above what the process may hold, get one answer."""

    surplus = False
    _fingerprint = ""
    _has_offer = _reads_on = _turned_away = False
    _held_request: tuple[Any, Any] | None = None
    _early_task: asyncio.Task[None] | None = None
    _early_bytes = 0
    _answers_unread = False

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401 -- uvicorn says no more
        """Look at the certificate once for each connection."""
        super().connection_made(transport)
        self._since = self.loop.time()
        tls: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
        shown = tls.getpeercert(binary_form=True) if tls is not None else None
        self._fingerprint = fingerprint(shown) if shown else ""

    def data_received(self, data: bytes) -> None:
        """Read on; a head that offers an upgrade is read again without it."""
        if (self._unread or self.context.gate.in_flight >= CONTENDED) and self._waits(data):
            return
        self._chunk_bytes = len(data)
        while data:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserError as exc:
                why = exc.__context__
                self.refuse(*(why.args if isinstance(why, _HeadRefused) else (400,)))
                return
            except httptools.HttpParserUpgrade as upgrade:
                data = self._head_without_offer() + data[upgrade.args[0] :]
                self.parser = httptools.HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            else:
                if self._phase:
                    self.bound_size()
                return

    def _waits(self, data: bytes) -> bool:
        """Whether this is not read yet: a check that finds no place, or what comes behind it."""
        if self._reads_on or not (self._unread or self._finds_none(data)):
            return False
        self._unread += data
        self.flow.pause_reading()
        return True

    def _finds_none(self, data: bytes) -> bool:
        gate = self.context.gate
        plain = self.idle and not self.surplus and len(data) <= MOST_UNREAD_BYTES
        if not plain or not data.startswith(CHECKS) or not gate.full_for(key_in(data)):
            return False
        self._nothing_asked = False
        gate.unread.add(self)
        return True

    def read_on(self, *, turned_away: bool) -> None:
        """Read what waits, or refuse it."""
        data, self._unread = self._unread, b""
        if not self.transport.is_closing():
            self._reads_on, self._turned_away = True, turned_away
            self.flow.resume_reading()
            self.data_received(data)
            self._reads_on = self._turned_away = False

    def on_message_begin(self) -> None:
        """A request begins; the caller's certificate goes into its scope."""
        super().on_message_begin()
        self._has_offer = self._nothing_asked = False
        self._phase, self._since, self._later_bytes = "head", 0.0, -self._chunk_bytes
        if self._fingerprint:
            cast("dict[str, Any]", self.scope)[CERT_SCOPE] = self._fingerprint

    def on_headers_complete(self) -> None:
        """Begin to answer, but for a head that will be read again."""
        self._has_offer = self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT"
        if self._has_offer:
            return
        if not self._is_usual() and (refusal := fault(self.headers, self.url)):
            raise _HeadRefused(*refusal)
        self._phase, self._since = "body", 0.0
        self.headers = []  # whatever comes behind the body is no part of the head
        super().on_headers_complete()

    def _is_usual(self) -> bool:
        """Whether the head came in one small piece, says nothing twice, and of its body little."""
        headers, found = self.headers, dict(self.headers)
        return (
            self._later_bytes < 0
            and self._chunk_bytes <= HEAD_MAX_BYTES
            and len(found) == len(headers) <= HEADERS_MAX
            and found.get(b"content-type") in USUAL_TYPES
            and found.get(b"transfer-encoding") in USUAL_CODINGS
            and b"content-encoding" not in found
        )

    def on_body(self, body: bytes) -> None:
        """A part of a body; of one that is held back before it is whole, somebody has to read."""
        cycle = self.cycle
        if self._has_offer or cycle.response_complete:
            return
        cycle.body += body
        if self._early_task is not None:
            self._early_bytes += len(body)
        if len(cycle.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
            if self._held_request is not None:
                self._early_task, self._held_request = self._begin(*self._held_request), None
                self._early_bytes = len(cycle.body)
        cycle.message_event.set()

    def on_message_complete(self) -> None:
        """A whole request has come."""
        if self._has_offer:
            return
        self._phase, self._since = "", 0.0
        cycle = self.cycle
        if not cycle.response_complete:
            cycle.more_body = False
            cycle.message_event.set()
        if self._held_request is not None:
            held, self._held_request = self._held_request, None
            self.context.gate.take(self, *held)
        elif self._early_task is not None:
            self.context.gate.count(self._early_task, self.scope, self._early_bytes)
            self._early_task, self._early_bytes = None, 0

    def on_response_complete(self) -> None:
        """Go on with what the caller sent meanwhile; no timer is set, as the sweep sees to it."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        if self.flow.write_paused:
            self._answers_unread = True
            self.flow.pause_reading()
        else:
            self._go_on()

    def resume_writing(self) -> None:
        """Go on where the caller had not read its answers."""
        super().resume_writing()
        if self._answers_unread:
            self._answers_unread = False
            if not self.transport.is_closing():
                self._go_on()

    def _go_on(self) -> None:
        self.flow.resume_reading()
        if not self._phase:
            self._since = 0.0
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)

    def answer_now(self, cycle: Any, response: WholeResponse) -> None:  # noqa: ANN401 -- uvicorn's
        """Answer a request that no task has begun, without reading its body."""
        if cycle.disconnected or cycle.response_complete:
            return
        cycle.response_started = cycle.response_complete = True
        body = b"" if cycle.scope["method"] == "HEAD" else response[2]
        keep = cycle.keep_alive and not self.context.closing and not self.surplus
        self.transport.write(self._head(response, keep=keep) + body)
        if not keep and cycle.more_body:
            self.part()
            return
        if not keep:
            self.transport.close()
        cycle.on_response()

    def refuse(self, status: int, detail: str = "") -> None:
        """End with an error that is not about a whole request; a caller who said nothing gets none.

        Nor does one to whom the request was answered already, or is being answered. What was
        asked before comes first: then its answer is the last one.
        """
        bad: Any = self.cycle if self._phase == "body" else None
        if self.parted or self.transport.is_closing() or self.ends_later(bad):
            return
        self.give_up()
        if not self._nothing_asked and not (bad and bad.response_started):
            response = status_bytes(status, detail)
            self.transport.write(self._head(response, keep=False) + response[2])
            self.context.service.counters.answered(UNREAD, status)
        self.part()

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:  # noqa: ANN401 -- uvicorn's
        """Begin to answer; what may wait, once it has come whole: slow ones keep no place."""
        if self._answers_unread or self.parted:
            self.pipeline.appendleft((cycle, app))
            return
        gate, scope, self._latest_cycle = self.context.gate, cycle.scope, cycle
        if self.context.closing or self.surplus:
            cycle.keep_alive = False
        if scope["path"] in FREE and not (self.surplus and scope["path"] == STREAM):
            self._begin(cycle, app)
        elif self._turned_away:
            gate.turn_away(self, cycle)
        elif self.surplus or (
            gate.in_flight >= CONTENDED and gate.full_for(authorization(scope["headers"]))
        ):
            gate.refuse(self, cycle)
        elif not cycle.more_body:
            gate.take(self, cycle, app)
        elif cycle.waiting_for_100_continue:
            self._early_task = self._begin(cycle, app)
        else:
            self._held_request = cycle, app

    def answer_at_once(self, cycle: Any) -> bool:  # noqa: ANN401 -- uvicorn's
        """Whether a request that has come whole could be answered at once, and is."""
        if cycle.scope["path"] != CHECK or not _is_hot(cycle.scope):
            return False
        body = respond_at_once(self.context.service, cycle.scope, cycle.body)
        if body is not None:
            self.context.service.counters.cleared_at_once += 1
            self.answer_now(cycle, (200, JSON_HEADERS, body))
        return body is not None

    def answer_in_task(self, cycle: Any, app: Any) -> Coroutine[Any, Any, None]:  # noqa: ANN401 -- uvicorn's
        """What answers a request, to be run as a task."""
        if _is_hot(cycle.scope):
            return self._respond(cycle)
        count = partial(self.context.service.counters.answered, cycle.scope)
        cycle.transport = CoalescingTransport(self.transport, self.loop, count)
        return cast("Coroutine[Any, Any, None]", cycle.run_asgi(app))

    async def _respond(self, cycle: Any) -> None:  # noqa: ANN401 -- uvicorn's
        told = await respond(self.context.service, cycle.scope, cycle.receive)
        self.context.service.counters.answered(cycle.scope, told[0])
        self.answer_now(cycle, told)

    def _begin(self, cycle: Any, app: Any) -> asyncio.Task[None]:  # noqa: ANN401 -- uvicorn's
        task: asyncio.Task[None] = self.loop.create_task(self.answer_in_task(cycle, app))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    def _head(self, response: WholeResponse, *, keep: bool) -> bytes:
        return self.context.head(self.server_state.default_headers, response, keep=keep)

    def _head_without_offer(self) -> bytes:
        """The head that was read last, without its offer."""
        version = self.parser.get_http_version().encode()
        line = b"%s %s HTTP/%s\r\n" % (self.parser.get_method(), self.url, version)
        return line + without_offer(self.headers)


def _is_hot(scope: Any) -> bool:  # noqa: ANN401 -- uvicorn's
    """Whether a request is one for the routes of checks and nothing besides."""
    return scope["path"] in HOT and scope["method"] == "POST" and not scope["query_string"]
