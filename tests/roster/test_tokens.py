"""Everything keyed, to the byte: a change here changes every roster."""

from __future__ import annotations

import random

import pytest

from roster.documents.identity import Document, DocumentNumber, normalise
from roster.documents.tables import token_table
from roster.documents.tokeniser import Tokeniser
from roster.filter import TokenFilter, in_filters


@pytest.fixture
def tokeniser() -> Tokeniser:
    return Tokeniser(bytes(range(32)))


def test_many_are_found_in_filters_as_one_by_one(tokeniser: Tokeniser) -> None:
    chance = random.Random(7)
    filters = [TokenFilter(chance.randrange(5, 40)) for _ in range(64)]
    tokens = [tokeniser.token(DocumentNumber(f"R:{n}")) for n in range(3_000)]
    for token in tokens[:1_500]:
        filters[token[1]].add(token)
    table = token_table(tokeniser, [f"R:{n}".encode() for n in range(3_000)])
    expected = [token in filters[token[1]] for token in tokens]
    assert in_filters(table, filters) == expected
    assert all(expected[:1_500])
    assert not all(expected)


@pytest.mark.parametrize(("birth", "valid"), [("040229", True), ("020229", False)])
def test_a_short_numbers_leap_day_is_in_a_leap_year(birth: str, valid: bool) -> None:
    document = Document(type="resident_id", number=f"110105{birth}002")
    assert normalise(document).valid is valid
