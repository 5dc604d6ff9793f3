"""The client for ordinary code; threads may share it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
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


class Client:
    """Asks one service with one key; close it, or use it in `with`."""

    def __init__(self, url: str, key: str, terms: Terms = Terms()) -> None:  # noqa: B008 -- frozen
        """`url` is the service's root; raises ValueError where it or the key can be none."""
        if fault := fault_in(url, key, terms):
            del url, key  # a traceback may be sent with the variables of its frames
            raise ValueError(fault)
        self._core = Core(terms)
        self._driver = _Driver(httpx.Client(**options(url, key, terms)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close its connections."""
        self._driver.http.close()

    def check(self, question: Check) -> Answer:
        """May this person be sold this journey? Raises NoAnswer, Referred, Refused, ValueError."""
        steps = self._core.check(question)
        del question  # of another type, it may show a number where a traceback is sent
        return self._driver.run(steps)

    def check_all(self, questions: Iterable[Check], journey: Journey | None = None) -> Answers:
        """A manifest's answers in its order, or an item's Problem; `journey` where one has none.

        A Problem is of an item that cannot be read, or not even be sent: its number is no text.
        Raises NoAnswer and Refused. Nobody is Referred: an answer says so in its place.
        """
        steps = self._core.check_all(questions, journey)
        del questions, journey  # of another type, it may show a number where a traceback is sent
        return self._driver.run(steps)

    def standing(self, person: Person) -> Standing:
        """What a person may and may not be sold; raises NoAnswer, Refused, ValueError."""
        steps = self._core.standing(person)
        del person  # of another type, it may show a number where a traceback is sent
        return self._driver.run(steps)

    def change(self, changes: Sequence[Change], wait: Wait = "durable") -> Acknowledged:
        """What became of 1 to 1,000 changes; all are safe. Raises NoAnswer, Refused, ValueError."""
        steps = self._core.change(changes, wait)
        del changes  # of another type, it may show a number where a traceback is sent
        return self._driver.run(steps)

    def feed(self, after: str | None = None, *, wait_s: float = 20.0, limit: int = 1_000) -> Feed:
        """Who has changed since then; `after` is a saved position, `now`, or None: the oldest.

        `wait_s` is how long the service may hold one question, at most 30 s.
        """
        return Feed(self._driver, Cursor(self._core, after, wait_s, limit))


class Feed:
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

    def poll(self) -> list[Event]:
        """The events that there are, waited for once: none is no end."""
        return self._driver.run(self._cursor.poll())

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        return self._driver.run(self._cursor.next_event())


class _Driver:
    """Sends what steps ask for."""

    def __init__(self, http: httpx.Client) -> None:
        self.http = http

    def run(self, steps: Steps[T]) -> T:
        """What the steps come to."""
        try:
            request = next(steps)
            while True:
                request = steps.send(self._reply(request))
        except StopIteration as end:
            result: T = end.value
            return result

    def _reply(self, request: Request) -> Reply:
        time.sleep(request.pause_s)
        try:
            return reply_of(self.http.request(**sending(request)))
        except httpx.RequestError as exc:
            return lost(exc)
