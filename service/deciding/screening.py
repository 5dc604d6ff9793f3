"""One check decided: the filter clears, or the roster is asked.

What comes before and after: docs/architecture.md, The walk of a check.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from roster.documents.identity import Token, normalise
from roster.errors import Unavailable, Unreadable, WrongKey
from roster.records.entry import BIND, RESTRICTING_BELOW
from roster.records.position import to_text
from roster.rules import rules
from roster.rules.verdict import Question, Reason, Verdict
from roster.times import beijing_day, now_ms
from service.deciding.lookups import PersonRecords
from service.deciding.person import read_person

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Sequence

    from roster.documents.identity import Document
    from roster.documents.names import NameCheck
    from roster.documents.tokeniser import Tokeniser
    from roster.records.replies import Found
    from roster.rules.restrictions import Lists
    from service.deciding.lookups import Lookups
    from service.deciding.questions import Query
    from service.following.follower import Follower
    from service.following.screener import Screener

RETRY_AFTER_MS = 1_000
SLICE = 64
"""How many of a batch are looked up at once: each slice has `CLEARWAY_REDIS_TIMEOUT_MS`."""

CLEAR = Verdict("allow")


class Screening(msgspec.Struct, frozen=True):
    """A verdict, and what the answer says about where it comes from.

    `on_roster` people have a pseudonym; `last_known` and `retry_after_ms` go with a reason
    that will pass.
    """

    verdict: Verdict
    token: Token
    position: str
    stale: bool
    on_roster: bool = False
    last_known: str | None = None
    retry_after_ms: int | None = None


class Traveller(msgspec.Struct, frozen=True):
    """Whom a request is about: the document's token, and whether it can be such a document.

    `others` are tokens under which the same document may be stored, too.
    """

    token: Token
    valid: bool
    others: tuple[Token, ...] = ()


class Desk:
    """Decides checks with this process's filters and the roster in Redis."""

    def __init__(
        self,
        screener: Screener,
        follower: Follower,
        lookups: Lookups,
        tokeniser: Tokeniser,
        lists: Lists,
    ) -> None:
        """No list is `disabled` at first."""
        self.screener = screener
        self.follower = follower
        self.lookups = lookups
        self.tokeniser = tokeniser
        self.lists = lists
        self.disabled: frozenset[int] = frozenset()

    async def freshen(self, token: Token | None = None) -> None:
        """Try once, together with whoever else asks, to become fresh; then the checks begin.

        Not for a `token` that may be listed: it is looked up however fresh the filters are,
        and whoever waits for Redis waits once. Raises Unavailable while the filters have
        never been loaded.
        """
        if token is None:
            if not self.screener.fresh:
                await self.follower.shared_poll(self.lookups.timeout_s)
        elif not self.screener.is_fresh(token[1]) and not self._is_asked_about(token):
            await self.follower.shared_poll(self.lookups.timeout_s, [token[1]])
        if not self.screener.loaded:
            raise Unavailable("the service is starting: its filters are not loaded yet")

    def _is_asked_about(self, token: Token) -> bool:
        return self.screener.ready and self.screener.may_be_listed(token)

    def traveller(self, query: Query) -> Traveller:
        """The document's token; raises InvalidInput."""
        found = normalise(query.document, beijing_day(now_ms()))
        token = self.tokeniser.token(found.number)
        return Traveller(token, found.valid, self.tokeniser.others(query.document, found.number))

    def clear_at_once(self, document: Document, now_s: float) -> Token | None:
        """The token of somebody who is surely on no list, where all is well; else see `decide`.

        What is fresh at this moment of `boot_s` was so since the check came: nothing was
        waited for. Raises InvalidInput.
        """
        number, valid = normalise(document, beijing_day(now_ms()))
        if not valid:
            return None
        token, screener = self.tokeniser.token(number), self.screener
        for each in (token, *self.tokeniser.others(document, number)):
            if screener.may_be_listed(each) or not screener.decides(each[1], now_s):
                return None
        return token

    def pseudonym(self, key_id: str, screening: Screening) -> str | None:
        """What a caller knows the person as, where they are on the roster."""
        return self.tokeniser.subject(key_id, screening.token) if screening.on_roster else None

    async def decide(self, query: Query, traveller: Traveller, now_s: float) -> Screening:
        """The answer where `clear_at_once` has none; raises as `freshen` does."""
        if not traveller.others and self.screener.decides(traveller.token[1], now_s):
            return await self.ask(query, traveller)
        await self.freshen(traveller.token)
        return self.clear(query, traveller) or await self.ask(query, traveller)

    def clear(self, query: Query, traveller: Traveller) -> Screening | None:
        """The answer where the roster need not be asked, else None."""
        screener = self.screener
        if not screener.ready:
            code = "not_covered" if screener.wrong_key or screener.lacking else "stale"
            return self.refer(code, traveller.token)
        partition = screener.partitions[traveller.token[1]]
        if partition.known and not screener.required <= partition.covered:
            return self.refer("not_covered", traveller.token)
        if screener.is_expired(traveller.token[1]):
            return self.refer("stale", traveller.token)
        asks = (
            query.at_least
            or not traveller.valid
            or (traveller.others and self._uncleared(traveller))
        )
        if traveller.token in partition.filter or asks:
            return None
        if partition.rewound and not partition.witnessed:
            return self.refer("rewound", traveller.token)
        screener.cleared += 1
        stale = self._is_stale(traveller)
        return Screening(CLEAR, traveller.token, partition.position_text, stale)

    async def ask(self, query: Query, traveller: Traveller) -> Screening:
        """The answer with what the roster says now; never raises."""
        (screening,) = await self.ask_all([(query, traveller)])
        return screening

    async def ask_all(self, asked: Sequence[tuple[Query, Traveller]]) -> list[Screening]:
        """The answers with what the roster says now, a slice of them looked up together."""
        screenings: list[Screening] = []
        for first in range(0, len(asked), SLICE):
            part = asked[first : first + SLICE]
            looked = [self._look_up(query, traveller) for query, traveller in part]
            for (query, traveller), found in zip(part, looked, strict=True):
                screenings.append(await self._screen(query, traveller, found))
        return screenings

    def _look_up(self, query: Query, traveller: Traveller) -> asyncio.Future[Found] | Unavailable:
        try:
            return self.lookups.ask(traveller.token, query.at_least)
        except Unavailable as exc:
            return exc

    async def _screen(
        self, query: Query, traveller: Traveller, looked: asyncio.Future[Found] | Unavailable
    ) -> Screening:
        token = traveller.token
        try:
            if isinstance(looked, Unavailable):
                raise looked
            found = await looked
            entries = await self.lookups.entries(found)
            # A filter need not have reached what the check has to include.
            others = traveller.others if query.at_least else self._uncleared(traveller)
            step = (token, *others)
            if len(step) == 1 and all(entry.list != BIND for entry in entries):
                known = PersonRecords(entries, [found], complete=True)
            else:
                known = await read_person(self.lookups, step, query.at_least)
        except (Unavailable, Unreadable, WrongKey) as exc:
            code = "not_covered" if isinstance(exc, WrongKey) else "registry_unavailable"
            return self.refer(code, token)
        doubt = self.doubt(known)
        if doubt:
            return self.refer(doubt, token)
        verdict = rules.decide(known.entries, self._question(query, traveller, known), self.lists)
        self._count(token, known)
        return Screening(
            verdict,
            known.listed_under or token,
            to_text(known.positions),
            self._is_stale(traveller),
            on_roster=any(entry.list < RESTRICTING_BELOW for entry in known.entries),
        )

    def _uncleared(self, traveller: Traveller) -> list[Token]:
        """Those of the other tokens that the filters of their partitions do not clear."""
        return [token for token in traveller.others if not self.screener.clears(token)]

    def _is_stale(self, traveller: Traveller) -> bool:
        fresh = self.screener.is_fresh
        return not (fresh(traveller.token[1]) and all(fresh(each[1]) for each in traveller.others))

    def doubt(self, known: PersonRecords) -> str | None:
        """The reason code where a look-up may not be believed, else None."""
        if any(not self.screener.required <= set(found.covered) for found in known.looked):
            return "not_covered"
        if any(found.rewound for found in known.looked):
            return "rewound"
        if not all(found.reached for found in known.looked):
            return "stale"
        return None if known.complete else "too_many_documents"

    def refer(self, code: str, token: Token) -> Screening:
        """The answer that this system cannot decide, and why."""
        possible = not self.screener.loaded or self.screener.may_be_listed(token)
        position = self.screener.partitions[token[1]].position_text
        stale = not self.screener.is_fresh(token[1])
        return referred(code, token, position, stale=stale, possible=possible)

    def _question(self, query: Query, traveller: Traveller, known: PersonRecords) -> Question:
        names = None if query.name is None else frozenset(self.tokeniser.names(query.name))
        return Question(query.journey, known.now_ms, names, traveller.valid, self.disabled)

    def _count(self, token: Token, known: PersonRecords) -> None:
        if known.entries:
            self.screener.true_hits += 1
        elif self.screener.may_be_listed(token):
            self.screener.false_hits += 1


def referred(code: str, token: Token, position: str, *, stale: bool, possible: bool) -> Screening:
    """The answer that nobody can decide, and why; `possible` whether the person may be listed."""
    passing = code in ("registry_unavailable", "not_covered", "stale")
    return Screening(
        Verdict("refer", (Reason(code),)),
        token,
        position,
        stale,
        last_known=("possible" if possible else "clear") if passing else None,
        retry_after_ms=RETRY_AFTER_MS if passing else None,
    )


def name_check(screening: Screening, name: str | None) -> NameCheck | None:
    """What the answer says of the name, where one was sent."""
    if name is None:
        return None
    return screening.verdict.name_check or "not_compared"
