"""Bytes put together all at once, held to joining them one by one."""

from __future__ import annotations

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from loader.columns.columns import concatenated, pieces_of, rows_of

parts = st.binary(max_size=12)


def cut(joined: bytes, sizes: list[int]) -> list[bytes]:
    ends = np.cumsum(sizes).tolist()
    return [joined[end - size : end] for end, size in zip(ends, sizes, strict=True)]


@given(st.lists(st.tuples(parts, parts, parts), max_size=20))
@example([(b"", b"", b"")])
def test_woven_pieces_are_each_rows_joined(rows: list[tuple[bytes, bytes, bytes]]) -> None:
    columns = [pieces_of([row[index] for row in rows]) for index in range(3)]
    found = concatenated(columns)
    assert cut(bytes(found.source), found.sizes.tolist()) == [b"".join(row) for row in rows]


@given(st.lists(parts, min_size=1, max_size=20), st.data())
def test_chosen_and_replaced_pieces_are_where_they_are_said_to_be(
    some: list[bytes], data: st.DataObject
) -> None:
    pieces = pieces_of(some)
    places = data.draw(st.lists(st.integers(0, len(some) - 1), unique=True))
    others = [data.draw(parts) for _ in places]
    which = np.array(places, np.int64)
    replaced = concatenated([pieces.replaced(which, pieces_of(others))])
    expected = some.copy()
    for place, other in zip(places, others, strict=True):
        expected[place] = other
    assert cut(bytes(replaced.source), replaced.sizes.tolist()) == expected
    assert bytes(concatenated([pieces.chosen(which)]).source) == b"".join(some[at] for at in places)


def test_parts_of_rows_are_pieces() -> None:
    table = np.arange(12, dtype=np.uint8).reshape(3, 4)
    assert bytes(concatenated([rows_of(table, slice(1, 3))]).source) == bytes((1, 2, 5, 6, 9, 10))
