from __future__ import annotations

import os

from hypothesis import given, settings
from hypothesis import strategies as st

from roster.filter import ERROR_RATE, SMALLEST_CAPACITY, TokenFilter, capacity_for
from roster.keys import FIELD

tokens = st.lists(st.binary(min_size=16, max_size=16), unique_by=lambda t: t[4:], max_size=60)


@given(tokens)
def test_the_filter_never_misses_what_was_added(added: list[bytes]) -> None:
    token_filter = TokenFilter()
    for token in added:
        token_filter.add(token)
    assert all(token in token_filter for token in added)


@given(tokens, st.sampled_from([1, 7, 1_000, 5_003]))
def test_one_by_one_and_bulk_set_the_same_bits(added: list[bytes], capacity: int) -> None:
    one_by_one, bulk = TokenFilter(capacity), TokenFilter(capacity)
    for token in added:
        one_by_one.add(token)
    bulk.add_fields(b"".join(each[FIELD] for each in added))
    assert one_by_one.bitarray == bulk.bitarray


@given(tokens)
@settings(max_examples=30)
def test_a_filter_survives_its_bytes(added: list[bytes]) -> None:
    token_filter = TokenFilter()
    token_filter.add_fields(b"".join(each[FIELD] for each in added))
    again = TokenFilter.from_bytes(token_filter.to_bytes())
    assert again.bitarray == token_filter.bitarray
    assert (again.count, again.capacity) == (len(added), SMALLEST_CAPACITY)


@given(tokens)
@settings(max_examples=30)
def test_a_filter_from_bytes_still_takes_tokens(added: list[bytes]) -> None:
    again = TokenFilter.from_bytes(TokenFilter().to_bytes())
    for token in added:
        again.add(token)
    again.add_fields(b"\xff" * 12)
    assert all(token in again for token in [*added, b"\xff" * 16])


def test_partition_and_bucket_do_not_matter_to_the_filter() -> None:
    token_filter = TokenFilter()
    token_filter.add(bytes(4) + b"123456789012")
    assert b"\x00\x3f\x03\xff" + b"123456789012" in token_filter


def test_adding_a_token_twice_counts_it_once() -> None:
    token_filter = TokenFilter()
    assert not token_filter.add(b"0123456789abcdef")
    assert token_filter.add(b"0123456789abcdef")
    assert len(token_filter) == 1


def test_false_hits_stay_near_the_rate_at_capacity() -> None:
    token_filter = TokenFilter(20_000)
    token_filter.add_fields(os.urandom(12 * 20_000))
    hits = sum(os.urandom(16) in token_filter for _ in range(50_000))
    assert hits <= 50_000 * ERROR_RATE * 5


def test_a_national_partition_fits_the_memory_promised() -> None:
    people = 4_400_000 // 64
    assert TokenFilter(capacity_for(people)).size_bytes * 64 <= 16_000_000


def test_a_filter_beyond_its_capacity_says_so_and_still_adds() -> None:
    token_filter = TokenFilter(3)
    for number in range(5):
        token_filter.add(number.to_bytes(16))
    assert token_filter.overfull
    assert all(number.to_bytes(16) in token_filter for number in range(5))
