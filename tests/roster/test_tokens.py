"""Everything keyed, to the byte: a change here changes every roster."""

from __future__ import annotations

import random

import pytest

from roster.filter import TokenFilter
from roster.identity import Document, DocumentNumber, Token, Tokeniser, normalise
from roster.tokens import in_filters, token_table

NUMBER = DocumentNumber("R:110105187912310024")
TOKEN = Token(bytes.fromhex("000f027f8cf1fd96cea2a9487e1a8d42"))


@pytest.fixture
def tokeniser() -> Tokeniser:
    return Tokeniser(bytes(range(32)))


def test_a_number_has_this_token(tokeniser: Tokeniser) -> None:
    assert tokeniser.token(NUMBER) == TOKEN


def test_the_key_has_this_check_value(tokeniser: Tokeniser) -> None:
    assert tokeniser.check_value.hex() == "cba8555cd84d4df0"
    assert Tokeniser(bytes(32)).check_value != tokeniser.check_value


def test_an_entry_has_this_hash_and_digest(tokeniser: Tokeniser) -> None:
    assert tokeniser.entry_hash(1, "e/1").hex() == "0d90fb254073"
    assert tokeniser.entry_hash(300, "\ud800").hex() == "f1d101033677"
    assert tokeniser.digest(TOKEN, 1, b"content").hex() == "6ab363e17f7b8a0b"


def test_a_person_has_this_pseudonym(tokeniser: Tokeniser) -> None:
    assert tokeniser.subject("k1", TOKEN) == "FSZkJ8RJit5RwAccdCFVZg"


def test_a_name_has_these_tokens(tokeniser: Tokeniser) -> None:
    assert tokeniser.names("张三") == (666491809,)
    assert tokeniser.names("ZHANG/SAN") == (1978435191, 2379136001, 2971389104)


@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_a_key_of_another_length_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="the ID key is 32 bytes"):
        Tokeniser(bytes(size))


def test_many_tokens_are_those_of_one_by_one(tokeniser: Tokeniser) -> None:
    numbers = [DocumentNumber(f"R:{n}") for n in range(200)]
    table = token_table(tokeniser, [number.encode() for number in numbers])
    assert [row.tobytes() for row in table] == [tokeniser.token(number) for number in numbers]


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
