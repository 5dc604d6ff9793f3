"""What was told of people last, as positions; no number is held, only a keyed hash of it."""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
import unicodedata
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from clearway_client.answers import Answer, Event
from clearway_client.questions import Document

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

KEEP_S = 3600.0
"""A process that has had no news for `CLEARWAY_SERVE_STALE_S` (900 s) refers everybody, so what
is older than that needs no position; a roster that never reaches one is waited for no longer."""
AT_LEAST_MAX = 16


class Bounded(Generic[K, V]):
    """So many values, each for a while; the ones that were put first go first."""

    def __init__(self, most: int, keep_s: float, clock: Callable[[], float]) -> None:
        """`most` may be 0: then nothing is kept."""
        self._most = most
        self._keep_s = keep_s
        self._clock = clock
        self._values: OrderedDict[K, tuple[float, V]] = OrderedDict()

    def put(self, key: K, value: V) -> None:
        """Keep this, as the newest."""
        self._values[key] = self._clock(), value
        self._values.move_to_end(key)
        while len(self._values) > self._most:
            self._values.popitem(last=False)

    def get(self, key: K) -> V | None:
        """What is kept of this key, if it is not too old."""
        at, value = self._values.get(key, (0.0, None))
        return None if value is None or self._clock() - at > self._keep_s else value


class Memory:
    """The positions of each person's last answer, last own change, and last event of the feed.

    An answer, a change and an event may come in any order, so one of them does not replace the
    other: a check states all three. May be used from several threads.
    """

    def __init__(self, people: int, clock: Callable[[], float] = time.monotonic) -> None:
        """At most of so many people."""
        self._salt = secrets.token_bytes(16)
        self._lock = threading.Lock()
        self._subjects: Bounded[bytes, str] = Bounded(people, float("inf"), clock)
        self._known: Bounded[str, bool] = Bounded(people, float("inf"), clock)
        self._answered: Bounded[bytes, str] = Bounded(people, KEEP_S, clock)
        self._changed: Bounded[bytes, str] = Bounded(people, KEEP_S, clock)
        self._told: Bounded[str, str] = Bounded(people, KEEP_S, clock)

    def at_least(self, document: Document, stated: str | tuple[str, ...]) -> tuple[str, ...]:
        """The positions that were stated for this person, and those that are remembered."""
        own = (stated,) if isinstance(stated, str) else stated
        person = self._person(document)
        with self._lock:
            found = [self._answered.get(person), self._changed.get(person)]
            if subject := self._subjects.get(person):
                found.append(self._told.get(subject))
        positions = dict.fromkeys((*own, *filter(None, found)))
        return tuple(positions)[:AT_LEAST_MAX]

    def answered(self, document: Document, answer: Answer) -> None:
        """Remember an answer about somebody on the roster."""
        if answer.subject is None or answer.position is None:
            return
        person = self._person(document)
        with self._lock:
            self._subjects.put(person, answer.subject)
            self._known.put(answer.subject, True)  # noqa: FBT003 -- a set, in order
            self._answered.put(person, answer.position)

    def changed(self, document: Document, position: str | None) -> None:
        """Remember a change of one's own."""
        if position is not None:
            with self._lock:
                self._changed.put(self._person(document), position)

    def told(self, event: Event) -> None:
        """Remember an event of the feed, if it is about somebody of whom there was an answer."""
        if event.subject is not None:
            with self._lock:
                if self._known.get(event.subject):
                    self._told.put(event.subject, event.position)

    def _person(self, document: Document) -> bytes:
        """The same for the usual spellings of one document."""
        number = unicodedata.normalize("NFKC", document.number).upper()
        folded = "".join(filter(str.isalnum, number))
        text = "\0".join((document.type, document.issuer or "", document.kind or "", folded))
        key = self._salt
        return hashlib.blake2b(text.encode(errors="replace"), digest_size=16, key=key).digest()
