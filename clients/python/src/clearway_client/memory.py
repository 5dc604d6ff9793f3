"""What was told of people last, as positions; no number is held, only a keyed hash of it."""

from __future__ import annotations

import hashlib
import itertools
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
"""What the service takes."""
FEW = 4
"""Of each kind: what is on its way at once arrives in any order, and no position tells its age."""


class Bounded(Generic[K, V]):
    """So many values; the ones that were put first go first."""

    def __init__(self, most: int) -> None:
        """`most` may be 0: then nothing is kept."""
        self._most = most
        self._values: OrderedDict[K, V] = OrderedDict()

    def put(self, key: K, value: V) -> None:
        """Keep this, as the newest."""
        self._values[key] = value
        self._values.move_to_end(key)
        while len(self._values) > self._most:
            self._values.popitem(last=False)

    def get(self, key: K) -> V | None:
        """What is kept of this key."""
        return self._values.get(key)


class Positions(Bounded[K, dict[str, float]]):
    """The last few positions of each key, each for a while."""

    def __init__(self, most: int, clock: Callable[[], float]) -> None:
        """Of at most so many keys."""
        super().__init__(most)
        self._clock = clock

    def add(self, key: K, position: str) -> None:
        """Keep this one, as the newest."""
        known = self.get(key) or {}
        others = [each for each in known.items() if each[0] != position]
        self.put(key, dict([*others, (position, self._clock())][-FEW:]))

    def of(self, key: K) -> list[str]:
        """Those that are not too old, the newest first."""
        since = self._clock() - KEEP_S
        known = self.get(key) or {}
        return [position for position in reversed(known) if known[position] >= since]


class Memory:
    """The positions of each person's last answers, last own changes, and last events of the feed.

    An answer, a change and an event may come in any order, as may two answers: none of them
    replaces the other, a check states them all. May be used from several threads.
    """

    def __init__(self, people: int, clock: Callable[[], float] = time.monotonic) -> None:
        """At most of so many people."""
        self._salt = secrets.token_bytes(16)
        self._lock = threading.Lock()
        self._subjects: Bounded[bytes, str] = Bounded(people)
        self._known: Bounded[str, bool] = Bounded(people)
        self._answered: Positions[bytes] = Positions(people, clock)
        self._changed: Positions[bytes] = Positions(people, clock)
        self._told: Positions[str] = Positions(people, clock)

    def at_least(self, document: Document, stated: str | tuple[str, ...]) -> tuple[str, ...]:
        """The positions that were stated for this person, and those that are remembered.

        Where there are too many, the newest of each kind are among them.
        """
        own = (stated,) if isinstance(stated, str) else stated
        person = self._person(document)
        with self._lock:
            kinds = [self._answered.of(person), self._changed.of(person)]
            if subject := self._subjects.get(person):
                kinds.append(self._told.of(subject))
        found = itertools.chain.from_iterable(itertools.zip_longest(*kinds))
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
            self._answered.add(person, answer.position)

    def changed(self, document: Document, position: str | None) -> None:
        """Remember a change of one's own."""
        if position is not None:
            with self._lock:
                self._changed.add(self._person(document), position)

    def told(self, event: Event) -> None:
        """Remember an event of the feed, if it is about somebody of whom there was an answer."""
        if event.subject is not None:
            with self._lock:
                if self._known.get(event.subject):
                    self._told.add(event.subject, event.position)

    def _person(self, document: Document) -> bytes:
        """The same for the usual spellings of one document."""
        number = unicodedata.normalize("NFKC", document.number).upper()
        folded = "".join(filter(str.isalnum, number))
        text = "\0".join((document.type, document.issuer or "", document.kind or "", folded))
        key = self._salt
        return hashlib.blake2b(text.encode(errors="replace"), digest_size=16, key=key).digest()
