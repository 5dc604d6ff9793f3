"""The client for asyncio; all that it does stands in `core` and `feed`, as for the other one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Self, TypeVar

import httpx

from clearway_client.answers import Acknowledged, Answer, Event, Standing
from clearway_client.core import Answers, Core, Wait
from clearway_client.exchange import Reply, Request, Steps
from clearway_client.feed import Cursor
from clearway_client.questions import Change, Check, Journey, Person
from clearway_client.terms import Terms
from clearway_client.transport import fault_in, lost, options, reply_of, sending

T = TypeVar("T")


class AsyncClient:
    """Asks one service with one key; close it, or use it in `async with`."""

    def __init__(self, url: str, key: str, terms: Terms = Terms()) -> None:  # noqa: B008 -- frozen
        """`url` is the service's root; raises ValueError where it or the key can be none."""
        if fault := fault_in(url, key, terms):
            del url, key  # a traceback may be sent with the variables of its frames
            raise ValueError(fault)
        self._core = Core(terms)
        self._driver = _Driver(httpx.AsyncClient(**options(url, key, terms)))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close its connections."""
        await self._driver.http.aclose()

    async def check(self, question: Check) -> Answer:
        """May this person be sold this journey? Raises NoAnswer, Referred, Refused, ValueError."""
        steps = self._core.check(question)
        del question  # of another type, it may show a number where a traceback is sent
        return await self._driver.run(steps)

    async def check_all(
        self, questions: Iterable[Check], journey: Journey | None = None
    ) -> Answers:
        """A manifest's answers in its order, or an item's Problem; `journey` where one has none.

        A Problem is of an item that cannot be read, or not even be sent: its number is no text.
        Raises NoAnswer and Refused. Nobody is Referred: an answer says so in its place.
        """
        steps = self._core.check_all(questions, journey)
        del questions, journey  # of another type, it may show a number where a traceback is sent
        return await self._driver.run(steps)

    async def standing(self, person: Person) -> Standing:
        """What a person may and may not be sold; raises NoAnswer, Refused, ValueError."""
        steps = self._core.standing(person)
        del person  # of another type, it may show a number where a traceback is sent
        return await self._driver.run(steps)

    async def change(self, changes: Sequence[Change], wait: Wait = "durable") -> Acknowledged:
        """What became of 1 to 1,000 changes; all are safe. Raises NoAnswer, Refused, ValueError."""
        steps = self._core.change(changes, wait)
        del changes  # of another type, it may show a number where a traceback is sent
        return await self._driver.run(steps)

    def feed(
        self, after: str | None = None, *, wait_s: float = 20.0, limit: int = 1_000
    ) -> AsyncFeed:
        """Who has changed since then; `after` is a saved position, `now`, or None: the oldest.

        `wait_s` is how long the service may hold one question, at most 30 s.
        """
        return AsyncFeed(self._driver, Cursor(self._core, after, wait_s, limit))


class AsyncFeed:
    """An endless iterator of events; raises NoAnswer, Refused and FeedTrimmed.

    After one of these it goes on where it was. Save `position` once an event is dealt with.
    """

    def __init__(self, driver: _Driver, cursor: Cursor) -> None:
        self._driver = driver
        self._cursor = cursor

    @property
    def position(self) -> str | None:
        """Behind the last event that was handed out; None before anything is known to save.

        With `now` that is so until the first `poll`: poll once, and save it, before you check.
        """
        return self._cursor.position

    async def poll(self) -> list[Event]:
        """The events that there are, waited for once: none is no end."""
        return await self._driver.run(self._cursor.poll())

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        return await self._driver.run(self._cursor.next_event())


class _Driver:
    """Sends what steps ask for."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http

    async def run(self, steps: Steps[T]) -> T:
        """What the steps come to."""
        try:
            request = next(steps)
            while True:
                request = steps.send(await self._reply(request))
        except StopIteration as end:
            result: T = end.value
            return result

    async def _reply(self, request: Request) -> Reply:
        await asyncio.sleep(request.pause_s)
        try:
            return reply_of(await self.http.request(**sending(request)))
        except httpx.RequestError as exc:
            return lost(exc)
