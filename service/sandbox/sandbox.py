"""Checks of made-up people decided by the real rules, in memory alone.

Tokens, pseudonyms and positions are made with a key that everybody may know: they are the same in
every process, and nobody's in any roster.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec

from roster.documents.identity import normalise
from roster.documents.tokeniser import Tokeniser
from roster.errors import InvalidInput, TooMany, Unavailable
from roster.records.entry import RESTRICTING_BELOW, Entry
from roster.records.position import NO_MARK, Position, one_text
from roster.rules import rules
from roster.rules import standing as standing_rules
from roster.rules.verdict import Asked, Question, Standing
from roster.times import beijing_day, format_ms, now_ms
from service.deciding.screening import CLEAR, Screening, referred
from service.sandbox.people import PEOPLE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from roster.documents.identity import Document, Token
    from roster.records.entry import NameToken
    from roster.rules.restrictions import Lists
    from roster.rules.verdict import Journey
    from service.deciding.questions import Query
    from service.sandbox.shapes import MadeUpEntry, MadeUpPerson

RETRY_AFTER_MS = 2_000
STALE_MS = 60_000
WAITING_MAX = 16
"""Slow answers under way in one process: they keep places that checks of real keys need."""
WHY = "a check of this document by a test key is always refused"
_KEY = sha256(b"clearway: made-up people").digest()
_ELSEWHERE = RESTRICTING_BELOW - 1
"""The code of a list that the lists file does not have."""


class MadeUpTraveller(msgspec.Struct, frozen=True):
    """Whom a check is about: nobody where the document is not in the table."""

    token: Token
    valid: bool
    person: MadeUpPerson | None
    entries: tuple[Entry, ...]


class Sandbox:
    """What checks of test keys are asked of; `decided` counts them, by decision."""

    def __init__(self, lists: Lists) -> None:
        """`lists` are those by which real checks are decided, too."""
        self._lists = lists
        self._tokeniser = Tokeniser(_KEY)
        self._every = frozenset(rule.code for rule in lists.all)
        self._people = {
            normalise(person.document).number: (person, self._entries(person.entries))
            for person in PEOPLE
        }
        self._waiting = 0
        self.decided: Counter[str] = Counter()

    async def admit(self, documents: Iterable[Document]) -> None:
        """Wait where one of these people takes long; raises TooMany, or Unavailable."""
        people = [person for each in documents if (person := self._person(each))]
        for refusal in (each.refusal for each in people):
            if refusal is not None:
                raise TooMany(RETRY_AFTER_MS, WHY) if refusal == 429 else Unavailable(WHY)  # noqa: PLR2004 -- HTTP's
        if wait_s := max((each.wait_s for each in people), default=0.0):
            await self._wait(wait_s)

    def screen(self, query: Query) -> Screening:
        """The answer to one check; raises InvalidInput."""
        screening = self._screen(self._traveller(query.document), query.journey, query.name)
        self.decided[screening.verdict.decision] += 1
        return screening

    def stand(
        self, document: Document, name: str | None, departs_at_ms: int | None
    ) -> tuple[Standing, Screening]:
        """What holds for a person, and where that comes from; raises InvalidInput."""
        traveller = self._traveller(document)
        if traveller.person is not None and traveller.person.doubt:
            screening = self._refer(traveller, traveller.person.doubt)
            return Standing("refer", reasons=screening.verdict.reasons), screening
        names, off = self._names(name), self._off(traveller)
        asked = Asked(now_ms(), departs_at_ms, names, traveller.valid, off)
        found = standing_rules.standing(traveller.entries, asked, self._lists)
        return found, Screening(CLEAR, traveller.token, _position(traveller.token), stale=False)

    def pseudonym(self, key_id: str, screening: Screening) -> str | None:
        """What a caller knows the person as, where they are in the table with an entry."""
        return self._tokeniser.subject(key_id, screening.token) if screening.on_roster else None

    def _screen(self, traveller: MadeUpTraveller, journey: Journey, name: str | None) -> Screening:
        person = traveller.person
        if person is not None and person.doubt:
            return self._refer(traveller, person.doubt)
        names, off = self._names(name), self._off(traveller)
        question = Question(journey, now_ms(), names, traveller.valid, off)
        return Screening(
            rules.decide(traveller.entries, question, self._lists),
            traveller.token,
            _position(traveller.token),
            stale=person is not None and person.stale,
            on_roster=any(entry.list < RESTRICTING_BELOW for entry in traveller.entries),
        )

    def _traveller(self, document: Document) -> MadeUpTraveller:
        number, valid = normalise(document, beijing_day(now_ms()))
        person, entries = self._people.get(number, (None, ()))
        return MadeUpTraveller(self._tokeniser.token(number), valid, person, entries)

    def _person(self, document: Document) -> MadeUpPerson | None:
        try:
            return self._traveller(document).person
        except InvalidInput:  # which is told where the document is asked about
            return None

    async def _wait(self, wait_s: float) -> None:
        if self._waiting >= WAITING_MAX:
            raise TooMany(RETRY_AFTER_MS, "there are too many slow answers under way")
        self._waiting += 1
        try:
            await asyncio.sleep(wait_s)
        finally:
            self._waiting -= 1

    def _refer(self, traveller: MadeUpTraveller, code: str) -> Screening:
        stale, position = code == "stale", _position(traveller.token)
        return referred(code, traveller.token, position, stale=stale, possible=True)

    def _off(self, traveller: MadeUpTraveller) -> frozenset[int]:
        disabled = traveller.person is not None and traveller.person.disabled
        return self._every if disabled else frozenset()

    def _names(self, name: str | None) -> frozenset[NameToken] | None:
        return None if name is None else frozenset(self._tokeniser.names(name))

    def _entries(self, made: Sequence[MadeUpEntry]) -> tuple[Entry, ...]:
        return tuple(map(self._entry, made))

    def _entry(self, made: MadeUpEntry) -> Entry:
        rule = self._lists.by_id(made.list)
        code = _ELSEWHERE if rule is None else rule.code
        names = {token for name in made.names for token in self._tokeniser.names(name)}
        content = msgspec.structs.replace(made.content, names=tuple(sorted(names)))
        digest = self._tokeniser.entry_hash(code, content.entry_id)
        return Entry(code, digest, made.registers, content)


def fresh_as_of(*, stale: bool) -> str:
    """As of when an answer of the sandbox says that it is."""
    return format_ms(now_ms() - STALE_MS * stale)


def _position(token: Token) -> str:
    """The text of a position that every roster has reached, also where a real key sends it."""
    return one_text(Position(token[1], 1, 1, NO_MARK))
