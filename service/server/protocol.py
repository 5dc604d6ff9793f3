"""One HTTP/1.1 connection: uvicorn's protocol, and what callers of all kinds need besides.

An offered upgrade is ignored, as RFC 9110, 7.8 has it, and the request answered: httptools loses
its body, so its head is read again without the offer. Heads and bodies have to come within a
time, and an idle connection ends only where no request lies in its socket. Who does not read its
answers is asked for no more until there is room. One sweep a moment looks at all connections, and
says from when on the time of what it finds counts; a timer for each request, or a look at the
clock at each of its steps, would cost more.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any, cast

import httptools
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from service.routes.checks import CHECK, HOT, respond, respond_at_once
from service.server.admission import FREE, IN_FLIGHT_MAX, weight_of
from service.server.certificates import fingerprint
from service.server.coalescing import CoalescingTransport
from service.server.sockets import unread, unsent
from service.web.auth import CERT_SCOPE
from service.web.bodies import JSON_HEADERS, WholeResponse
from service.web.problems import status_bytes

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine

    from service.server.admission import ServerContext

IDLE_GRACE_S = 1.0
"""An idle connection is kept so much longer than is promised, so that the caller ends it first."""
_OFFERS = frozenset({b"upgrade", b"http2-settings"})


class Protocol(HttpToolsProtocol):
    """A caller's connection; `surplus` ones, above what the process may hold, get one answer.

    `left` is called when it is over.
    """

    context: ServerContext
    left: Callable[[], None]
    surplus = False
    _fingerprint = ""
    _has_offer = False
    _nothing_asked = True
    _held_request: tuple[Any, Any] | None = None
    _early_task: asyncio.Task[None] | None = None
    _latest_cycle: Any = None
    _answers_unread = False
    _unsent = 0
    _phase = "head"
    _since = 0.0  # of the loop's clock; 0 until a sweep has seen the phase

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401 -- uvicorn says no more
        """Look at the certificate once for each connection."""
        super().connection_made(transport)
        self._since = self.loop.time()
        tls: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
        shown = tls.getpeercert(binary_form=True) if tls is not None else None
        self._fingerprint = fingerprint(shown) if shown else ""

    def connection_lost(self, exc: Exception | None) -> None:
        """Make room for another; what is under way need not be told any more."""
        if self._latest_cycle is not None and not self._latest_cycle.response_complete:
            self._latest_cycle.disconnected = True
            self._latest_cycle.message_event.set()
        super().connection_lost(exc)
        self.left()

    def data_received(self, data: bytes) -> None:
        """Read on; a head that offers an upgrade is read again without it."""
        while data:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserError:
                self.refuse(400)
                return
            except httptools.HttpParserUpgrade as upgrade:
                data = self._head_without_offer() + data[upgrade.args[0] :]
                self.parser = httptools.HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            else:
                return

    def on_message_begin(self) -> None:
        """A request begins; the caller's certificate goes into its scope."""
        super().on_message_begin()
        self._has_offer = self._nothing_asked = False
        self._phase, self._since = "head", 0.0
        if self._fingerprint:
            cast("dict[str, Any]", self.scope)[CERT_SCOPE] = self._fingerprint

    def on_headers_complete(self) -> None:
        """Begin to answer, but for a head that will be read again."""
        self._has_offer = self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT"
        if self._has_offer:
            return
        self._phase, self._since = "body", 0.0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of a body; of one that is held back before it is whole, somebody has to read."""
        cycle = self.cycle
        if self._has_offer or cycle.response_complete:
            return
        cycle.body += body
        if len(cycle.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
            if self._held_request is not None:
                self._early_task, self._held_request = self._begin(*self._held_request), None
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
            task, self._early_task = self._early_task, None
            self.context.gate.count(task, weight_of(self.scope))

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

    def shutdown(self) -> None:
        """End with the answer that is under way; an idle connection stays for a moment."""
        cycles: list[Any] = [self.cycle, *(waiting for waiting, _ in self.pipeline)]
        for cycle in filter(None, cycles):
            cycle.keep_alive = False

    def sweep(self) -> None:
        """End the connection where its time is over."""
        now_s = self.loop.time()
        age_s, waiting = now_s - self._since, unsent(self.transport)
        if not self._since or waiting != self._unsent or (self.flow.read_paused and not waiting):
            self._unsent, self._since = waiting, now_s  # something has moved, or we are slow
        elif waiting:
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
            return self.cycle.response_complete and not self.pipeline
        return self._nothing_asked

    def close_if_quiet(self) -> None:
        """Close, but where a request lies in the socket already: it is answered first."""
        if not unread(self.transport):
            self.transport.close()

    def answer_now(self, cycle: Any, response: WholeResponse) -> None:  # noqa: ANN401 -- uvicorn's
        """Answer a request that no task has begun, without reading its body."""
        if cycle.disconnected or cycle.response_complete:
            return
        cycle.response_started = cycle.response_complete = True
        body = b"" if cycle.scope["method"] == "HEAD" else response[2]
        keep = cycle.keep_alive and not self.context.closing and not self.surplus
        self.transport.write(self._head(response, keep=keep) + body)
        if not keep:
            self.transport.close()
        cycle.on_response()

    def refuse(self, status: int) -> None:
        """End with an error that is not about a whole request; a caller who said nothing gets none.

        Whoever waits for an answer already gets nothing either: it is under way.
        """
        begun: Any = self.cycle  # None before there was any
        waits = begun is not None and begun.response_started and not begun.response_complete
        if not self._nothing_asked and not waits:
            response = status_bytes(status)
            self.transport.write(self._head(response, keep=False) + response[2])
        self.transport.close()

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:  # noqa: ANN401 -- uvicorn's
        """Begin to answer; what may wait, once it has come whole: slow ones keep no place."""
        if self._answers_unread:
            self.pipeline.appendleft((cycle, app))
            return
        gate, scope, self._latest_cycle = self.context.gate, cycle.scope, cycle
        if self.context.closing or self.surplus:
            cycle.keep_alive = False
        if scope["path"] in FREE:
            self._begin(cycle, app)
        elif gate.in_flight >= IN_FLIGHT_MAX or self.surplus:
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
            self.answer_now(cycle, (200, JSON_HEADERS, body))
        return body is not None

    def answer_in_task(self, cycle: Any, app: Any) -> Coroutine[Any, Any, None]:  # noqa: ANN401 -- uvicorn's
        """What answers a request, to be run as a task."""
        if _is_hot(cycle.scope):
            return self._respond(cycle)
        cycle.transport = CoalescingTransport(self.transport, self.loop)
        answering: Coroutine[Any, Any, None] = cycle.run_asgi(app)
        return answering

    async def _respond(self, cycle: Any) -> None:  # noqa: ANN401 -- uvicorn's
        self.answer_now(cycle, await respond(self.context.service, cycle.scope, cycle.receive))

    def _begin(self, cycle: Any, app: Any) -> asyncio.Task[None]:  # noqa: ANN401 -- uvicorn's
        task: asyncio.Task[None] = self.loop.create_task(self.answer_in_task(cycle, app))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    def _head(self, response: WholeResponse, *, keep: bool) -> bytes:
        status, headers, body = response
        length = (b"content-length", b"%d" % len(body))
        lines = [*self.server_state.default_headers, *headers, length]
        if not keep:
            lines.append((b"connection", b"close"))
        fields = b"".join(b"%s: %s\r\n" % line for line in lines)
        return STATUS_LINE[status] + fields + b"\r\n"

    def _head_without_offer(self) -> bytes:
        """The head that was read last, without its offer."""
        lines = [(name, value) for name, value in self.headers if name not in _OFFERS]
        fields = b"".join(
            b"%s: %s\r\n" % (name, _without_offers(value) if name == b"connection" else value)
            for name, value in lines
        )
        version = self.parser.get_http_version().encode()
        return b"%s %s HTTP/%s\r\n%s\r\n" % (self.parser.get_method(), self.url, version, fields)


def _is_hot(scope: Any) -> bool:  # noqa: ANN401 -- uvicorn's
    """Whether a request is one for the routes of checks and nothing besides."""
    return scope["path"] in HOT and scope["method"] == "POST" and not scope["query_string"]


def _without_offers(connection: bytes) -> bytes:
    options = (option.strip() for option in connection.split(b","))
    return b", ".join(option for option in options if option.lower() not in _OFFERS)
