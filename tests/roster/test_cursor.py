from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roster.errors import PositionError
from roster.records.cursor import Cursor, CursorWriter, from_feed, from_text
from roster.records.position import TEXT_LIMIT, Position, encoded, newest, to_text

histories = st.sampled_from((0, 1_700_000_000, 1_700_000_001, 2**32 - 1))
seqs = st.one_of(st.just(0), st.integers(0, 10_000), st.integers(0, 2**48 - 1))
marks = st.binary(min_size=4, max_size=4)


@st.composite
def cursors(draw: st.DrawFn) -> Cursor:
    places = []
    for partition in range(64):
        seq = draw(seqs)
        mark = draw(marks) if seq else bytes(4)
        places.append(Position(partition, draw(histories), seq, mark))
    return Cursor(tuple(places), draw(st.integers(0, 63)), draw(st.integers(0, 16)))


@given(cursors())
def test_a_cursor_survives_its_texts(cursor: Cursor) -> None:
    compact = CursorWriter(cursor).text(cursor.partition, cursor.given)
    assert from_feed(compact) == cursor
    assert from_feed(cursor.text).places == cursor.places
    assert from_feed(cursor.text).given == cursor.given
    assert from_text(compact) == from_text(cursor.text) == list(cursor.places)
    assert max(len(compact), len(cursor.text)) <= TEXT_LIMIT


@given(cursors(), st.integers(0, 63), st.integers(1, 2**40), marks)
def test_a_writer_goes_where_the_reader_goes(
    cursor: Cursor, partition: int, seq: int, mark: bytes
) -> None:
    writer = CursorWriter(cursor)
    place = Position(partition, cursor.places[0].history, seq, mark)
    writer.move(place)
    places = list(cursor.places)
    places[partition] = place
    assert from_feed(writer.text()).places == tuple(places)


def test_a_change_of_a_busy_roster_takes_five_hundred_characters() -> None:
    busy = Cursor(tuple(Position(n, 1_764_000_000, 8_000, b"mark") for n in range(64)))
    young = Cursor(tuple(Position(n, 1_764_000_000, 0, bytes(4)) for n in range(64)))
    assert len(CursorWriter(busy).text()) < 530
    assert len(CursorWriter(young).text()) < 100


@given(st.lists(st.builds(Position, st.integers(0, 63), histories, seqs, marks), max_size=80))
def test_what_other_answers_give_is_not_of_the_feed(positions: list[Position]) -> None:
    with pytest.raises(PositionError):
        from_feed(to_text(positions))


def test_a_position_of_the_whole_roster_is_not_of_the_feed() -> None:
    whole = [Position(n, 7, 9, b"mark") for n in range(64)]
    assert from_text(to_text(whole)) == newest(whole)
    with pytest.raises(PositionError):
        from_feed(to_text(whole))


@given(st.binary(max_size=600))
def test_bytes_that_are_no_position_are_refused_or_read(data: bytes) -> None:
    for head in (b"", b"\x01", b"\x02", b"\x02\x00\x00"):
        try:
            places = from_feed(encoded(head + data)).places
        except PositionError:
            continue
        assert [place.partition for place in places] == list(range(64))
