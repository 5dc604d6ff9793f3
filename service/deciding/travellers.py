"""Whom the checks of a batch are about: all tokens in one go, and all filters asked together."""

from __future__ import annotations

from itertools import compress
from typing import TYPE_CHECKING

import numpy as np

from roster.documents.alternatives import ISSUED, alternatives
from roster.documents.identity import Token, normalise
from roster.documents.tables import (
    CARD_BYTES,
    TOKEN_BYTES,
    card_table,
    characters_of,
    token_table,
    valid_cards,
)
from roster.errors import InvalidInput
from roster.filter import in_filters
from service.deciding.screening import Traveller

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from roster.documents.identity import Document
    from roster.documents.tokeniser import Tokeniser
    from roster.filter import TokenFilter

_LEAST = 24
"""Fewer cards are judged sooner one by one."""


class Travellers:
    """The documents of some checks, by their places; `unread` are where none can be read.

    Of most nothing is asked but whether a filter knows them, so nobody's token is more than a
    row of a table before `taken` asks for it. `invalid` are where no document has the number.
    """

    def __init__(
        self, tokeniser: Tokeniser, documents: Sequence[Document], latest_birth: str
    ) -> None:
        """Births after `latest_birth` make numbers invalid, as in `normalise`."""
        self.unread: set[int] = set()
        self.invalid: set[int] = set()
        self._places: list[int] = []
        tables = [np.zeros((0, TOKEN_BYTES), np.uint8)]
        if cards := _cards(documents) if len(documents) >= _LEAST else []:
            characters = characters_of([documents[place].number for place in cards])
            right = valid_cards(characters, latest_birth)
            self._places = list(compress(cards, right.tolist()))
            tables.append(card_table(tokeniser, characters[right]))
        if numbers := self._read(documents, latest_birth):
            tables.append(token_table(tokeniser, numbers))
        self._table = np.concatenate(tables)

    def _read(self, documents: Sequence[Document], latest_birth: str) -> list[bytes]:
        """The numbers of all that are no ordinary cards, and then those that they have besides."""
        numbers: list[bytes] = []
        more: list[tuple[int, bytes]] = []
        for place in sorted(set(range(len(documents))).difference(self._places)):
            document = documents[place]
            try:
                number, valid = normalise(document, latest_birth)
            except InvalidInput:
                self.unread.add(place)
                continue
            if not valid:
                self.invalid.add(place)
            self._places.append(place)
            numbers.append(number.encode())
            if document.type in ISSUED:
                more += [(place, other.encode()) for other in alternatives(document, number)]
        self._places += [place for place, _ in more]
        return numbers + [number for _, number in more]

    @property
    def partitions(self) -> set[int]:
        """Where anything could be known of them."""
        return set(self._table[:, 1].tolist())

    def known(self, filters: Sequence[TokenFilter]) -> set[int]:
        """Of whom a filter does not say that nothing is."""
        return set(compress(self._places, in_filters(self._table, filters)))

    def within(self, partitions: Iterable[int]) -> set[int]:
        """Of whom something could be known in one of these partitions."""
        return set(compress(self._places, np.isin(self._table[:, 1], list(partitions)).tolist()))

    def taken(self, places: Iterable[int]) -> dict[int, Traveller]:
        """Some of them, each by itself, but for those that cannot be read."""
        tokens: dict[int, list[Token]] = {place: [] for place in places if place not in self.unread}
        table = self._table.tobytes()
        for row, place in enumerate(self._places):
            if place in tokens:
                at = row * TOKEN_BYTES
                tokens[place].append(Token(table[at : at + TOKEN_BYTES]))
        return {
            place: Traveller(own, place not in self.invalid, tuple(others))
            for place, (own, *others) in tokens.items()
        }


def _cards(documents: Sequence[Document]) -> list[int]:
    return [
        place
        for place, each in enumerate(documents)
        if each.type == "resident_id"
        and len(each.number) == CARD_BYTES
        and each.issuer is None
        and each.kind is None
    ]
