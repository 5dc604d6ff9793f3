"""Everything keyed, to the byte: a change here changes every roster."""

from __future__ import annotations

import hashlib
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import assume, example, given
from hypothesis import strategies as st

from roster.documents.identity import Document, DocumentNumber, Token, normalise
from roster.documents.spelling import fold
from roster.documents.tables import card_table, token_table
from roster.documents.tokeniser import HASHED, LONGEST, SCHEME, UNKNOWN, Tokeniser, fits
from roster.errors import Unavailable

GOLDEN = json.loads(Path(__file__).with_name("golden_tokens.json").read_text(encoding="utf-8"))
KEY = bytes.fromhex(GOLDEN["key"])
TOKENISERS = {scheme: Tokeniser(KEY, scheme) for scheme in (HASHED, SCHEME)}
TOKENISER = TOKENISERS[SCHEME]
BEFORE = TOKENISERS[HASHED]
GOLDEN_IDS = [f"{n}-{row['canonical'][:1]}" for n, row in enumerate(GOLDEN["documents"])]
golden = pytest.mark.parametrize("row", GOLDEN["documents"], ids=GOLDEN_IDS)
each_scheme = pytest.mark.parametrize("tokeniser", TOKENISERS.values(), ids=TOKENISERS)


def cut(digest: bytes) -> bytes:
    """The bits that a token keeps."""
    return bytes((0, digest[1] & 63, digest[2] & 3)) + digest[3:]


def hashed(number: str) -> bytes:
    """A token of scheme 1, from its definition."""
    digest = hashlib.blake2b(number.encode(), digest_size=16, key=KEY, person=b"token").digest()
    return cut(digest)


def block(number: str) -> bytes:
    """A short number's block: six bits a character, from the left."""
    sixes = "".join(f"{ord(character) - 32:06b}" for character in number.ljust(LONGEST))
    return int(sixes + "00", 2).to_bytes(16)


def enciphered(number: str) -> bytes:
    """A short number's token of scheme 2, from its definition."""
    key = hashlib.blake2b(key=KEY, person=b"block", digest_size=32).digest()
    cipher = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    return cut(cipher.update(block(number)) + cipher.finalize())


# Golden tokens: the bytes that a roster loaded today still has after every later change.


@golden
def test_every_golden_number_keeps_its_token_under_both_schemes(row: dict[str, Any]) -> None:
    assert BEFORE.token(row["canonical"]).hex() == row["token"]
    assert TOKENISER.token(row["canonical"]).hex() == row["token_2"]


@golden
def test_a_token_of_before_is_keyed_blake2b_cut_to_partition_and_bucket(
    row: dict[str, Any],
) -> None:
    assert BEFORE.token(row["canonical"]) == hashed(row["canonical"])


@golden
def test_a_token_is_aes_of_a_short_number_and_keyed_blake2b_of_a_long_one(
    row: dict[str, Any],
) -> None:
    number = row["canonical"]
    short = len(number) <= 21 and all("!" <= character <= "_" for character in number)
    assert fits(number.encode()) is short
    assert TOKENISER.token(number) == (enciphered(number) if short else hashed(number))


def test_cards_permits_and_passports_fit_a_block() -> None:
    documents = [
        Document("resident_id", "11010518491231008X"),
        Document("permanent_resident_id", "FRA310049123117"),
        Document("hk_macao_permit", "H1234567801"),
        Document("taiwan_permit", "1234567801(B)"),
        Document("passport", "E12345678", "CHN"),
        Document("passport", "123456789012345", "D"),
    ]
    assert all(fits(normalise(document).number.encode()) for document in documents)


# No two documents meet.

ANY = st.text(st.characters(exclude_characters=" \n\r", exclude_categories=["Cs"]), max_size=24)
SHORT = st.text([chr(code) for code in range(33, 96)], max_size=LONGEST)


@given(SHORT | ANY, SHORT | ANY)
@example("R:1", "R:1`")
@example("R:12345678901234567890", "R:12345678901234567891")
@example("R:1234567890123456789A", "R:1234567890123456789B")
@example("T:12345678", "T:12345678\0")
def test_distinct_numbers_have_distinct_blocks_or_hashes(one: str, two: str) -> None:
    assume(one != two)
    blocks = [block(number) for number in (one, two) if fits(number.encode())]
    assert len(set(blocks)) == len(blocks)
    tokens = [TOKENISER.token(DocumentNumber(number)) for number in (one, two)]
    assert tokens[0] != tokens[1]


@given(st.text())
@example("\u00a8")
def test_no_number_holds_what_stands_for_its_end(text: str) -> None:
    assert not set(" \n\r") & set(fold(text))


@each_scheme
@given(numbers=st.lists(SHORT | ANY, min_size=1, max_size=12))
@example(numbers=["R:1`", "O:CHN:seaman:1", "R:" + "9" * 20, "张", ""])
def test_many_tokens_are_those_of_one_by_one(tokeniser: Tokeniser, numbers: list[str]) -> None:
    table = token_table(tokeniser, [number.encode() for number in numbers])
    one_by_one = [tokeniser.token(DocumentNumber(number)) for number in numbers]
    assert [row.tobytes() for row in table] == one_by_one


@each_scheme
@given(cards=st.lists(st.from_regex(r"[0-9]{17}[0-9X]", fullmatch=True), min_size=1, max_size=12))
@example(cards=["110105184912310020", "91010518491231008X"])
def test_a_column_of_cards_has_the_tokens_of_one_by_one(
    tokeniser: Tokeniser, cards: list[str]
) -> None:
    table = card_table(tokeniser, np.frombuffer("".join(cards).encode(), np.uint8).reshape(-1, 18))
    numbers = [normalise(Document("resident_id", card)).number for card in cards]
    assert [row.tobytes() for row in table] == [tokeniser.token(number) for number in numbers]


@each_scheme
def test_tokens_fill_every_partition_and_bucket(tokeniser: Tokeniser) -> None:
    tokens = [tokeniser.token(DocumentNumber(f"R:{n}")) for n in range(20_000)]
    assert {int.from_bytes(token[:2], "big") for token in tokens} == set(range(64))
    assert {int.from_bytes(token[2:4], "big") for token in tokens} == set(range(1024))
    assert {len(token) for token in tokens} == {16}


@each_scheme
def test_numbers_alike_have_tokens_with_half_their_bits_different(tokeniser: Tokeniser) -> None:
    numbers = [f"R:1101051849123{n:05}" for n in range(4_000)]
    words = [int.from_bytes(tokeniser.token(DocumentNumber(number))) for number in numbers]
    differing = [(a ^ b).bit_count() for a, b in itertools.pairwise(words)]
    assert 55 < sum(differing) / len(differing) < 57
    assert min(differing) > 28


# What else is keyed.


def test_the_key_has_a_check_value_for_each_scheme() -> None:
    assert BEFORE.check_value.hex() == "cba8555cd84d4df0"
    assert TOKENISER.check_value.hex() == "078f8f81ea4d2151"


@each_scheme
def test_what_else_is_keyed_is_the_same_under_every_scheme(tokeniser: Tokeniser) -> None:
    token = Token(bytes.fromhex("000f027f8cf1fd96cea2a9487e1a8d42"))
    assert tokeniser.entry_hash(1, "e/1").hex() == "0d90fb254073"
    assert tokeniser.entry_hash(300, "\ud800").hex() == "f1d101033677"
    assert tokeniser.entry_hash(1, "(2018)京0105执1234号/1").hex() == "7a448c35dd44"
    assert tokeniser.digest(token, 1, b"content").hex() == "6ab363e17f7b8a0b"
    assert tokeniser.subject("k1", token) == "FSZkJ8RJit5RwAccdCFVZg"
    assert tokeniser.names("张三") == (666491809,)
    assert tokeniser.names("ZHANG/SAN") == (1978435191, 2379136001, 2971389104)
    assert tokeniser.names("ZHANG/SANFENG") == (1625900856, 2182328705, 2302695369)


@each_scheme
def test_another_key_changes_every_keyed_value(tokeniser: Tokeniser) -> None:
    other = Tokeniser(bytes(32), tokeniser.scheme)
    token = Token(bytes(16))
    for number in (DocumentNumber("R:x"), DocumentNumber("R:" + "1" * 30)):
        assert other.token(number) != tokeniser.token(number)
    assert other.check_value != tokeniser.check_value
    assert other.entry_hash(1, "a") != tokeniser.entry_hash(1, "a")
    assert other.digest(token, 1, b"") != tokeniser.digest(token, 1, b"")
    assert other.subject("k", token) != tokeniser.subject("k", token)
    assert other.names("张三") != tokeniser.names("张三")


def test_entries_digests_and_subjects_depend_on_all_that_they_are_of() -> None:
    one, two = Token(bytes(16)), Token(bytes(15) + b"\1")
    hashes = {TOKENISER.entry_hash(code, name) for code in (1, 2) for name in ("a", "b")}
    digests = {
        TOKENISER.digest(token, code, content)
        for token in (one, two)
        for code in (1, 2)
        for content in (b"a", b"b")
    }
    subjects = {TOKENISER.subject(key, token) for key in ("k", "l") for token in (one, two)}
    assert (len(hashes), len(digests), len(subjects)) == (4, 8, 4)
    assert {len(text) for text in subjects} == {22}


@pytest.mark.parametrize("length", [0, 16, 31, 33, 64])
def test_a_key_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="the ID key is 32 bytes"):
        Tokeniser(bytes(length))


def test_no_token_is_made_before_the_rosters_scheme_is_known() -> None:
    tokeniser = Tokeniser(KEY, UNKNOWN)
    with pytest.raises(Unavailable):
        tokeniser.token(DocumentNumber("R:1"))
    with pytest.raises(Unavailable):
        _ = tokeniser.check_value
    tokeniser.use(HASHED)
    assert tokeniser.token(DocumentNumber("R:1")) == BEFORE.token(DocumentNumber("R:1"))
