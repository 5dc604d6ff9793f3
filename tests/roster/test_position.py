from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roster.errors import PositionError
from roster.records.cursor import from_text
from roster.records.position import (
    ROSTER_BYTES,
    TEXT_LIMIT,
    HighWater,
    Position,
    from_wire,
    high_water_of,
    to_text,
)

positions = st.builds(
    Position,
    st.integers(0, 63),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**48 - 1),
    st.binary(min_size=4, max_size=4),
)


@given(st.lists(positions, max_size=64, unique_by=lambda position: position.partition))
def test_positions_survive_their_text(given_positions: list[Position]) -> None:
    text = to_text(given_positions)
    assert from_text(text) == sorted(given_positions)
    assert len(text) <= TEXT_LIMIT


@given(positions)
def test_a_position_survives_the_wire(position: Position) -> None:
    assert from_wire(position.partition, position.wire) == position


@given(positions, st.integers(0, 2**48 - 1), st.binary(min_size=1, max_size=5))
def test_a_high_water_mark_survives_the_wire(
    position: Position, at_ms: int, covered: bytes
) -> None:
    for roster in (b"", b"\x01" * ROSTER_BYTES):
        mark = HighWater(position, at_ms, roster, covered)
        assert high_water_of(position.partition, mark.wire) == mark


def test_a_text_keeps_the_newest_position_of_each_partition() -> None:
    old, new = Position(3, 1, 5, b"aaaa"), Position(3, 1, 6, b"bbbb")
    assert from_text(to_text([new, old])) == [new]


@pytest.mark.parametrize("text", ["", "x", "é", "A" * 3000, "AUAAAAA", "AT8", "Av8AAAAA"])
def test_a_text_that_is_no_position_is_refused(text: str) -> None:
    with pytest.raises(PositionError):
        from_text(text)


def test_an_older_history_counts_as_reached() -> None:
    assert Position(1, 2, 1, b"xxxx").includes(Position(1, 1, 900, b"yyyy"))
