"""JSON Lines read by column, held to what each line says by itself."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from loader.columns.sheets import COLUMNS, Block, Encoding, Layout, Torn, spelled
from loader.files.json_sheets import json_sheet

if TYPE_CHECKING:
    from collections.abc import Mapping

texts = st.one_of(
    st.sampled_from(["", "a", "张三", 'a"b', "\\", "\n", "0", "x" * 70]), st.text(max_size=8)
)
good = st.one_of(
    texts, texts, st.integers(-(10**18), 10**18), st.just(0), st.none(),
    st.floats(allow_nan=False, allow_infinity=False, width=32),
    st.lists(st.text(max_size=3), max_size=2),
)  # fmt: skip
records: Any = st.dictionaries(st.sampled_from(COLUMNS), good, max_size=6)
odd_lines = st.sampled_from(
    [b"", b" ", b"{", b"[]", b"5", b'{"x": 1}', b'{"name": {}}', b'{"name": "\\ud800"}', b"\xff",
     b'{"name": "\xff", "entry_id": "a"}', b'{"name": "\\u0000", "entry_id": "a"}',
     b'{"name": "a\tb", "entry_id": "a"}', b'{"entry_id": "a", "kind": true}']
)  # fmt: skip


def expected(record: Mapping[str, object]) -> list[str] | None:
    """The cells of a record; None where it is torn."""
    cells = [spelled(record.get(column)) for column in COLUMNS]
    return None if "\0" in "".join(cells) else cells


@given(
    st.lists(st.one_of(records, records, odd_lines), max_size=8),
    st.booleans(),
    st.sampled_from(["utf-8", "gb18030"]),
)
@settings(max_examples=400, deadline=None)
def test_a_block_has_the_rows_and_lines_that_its_lines_say(
    lines: list[dict[str, object] | bytes], escaped: bool, encoding: Encoding
) -> None:
    written: list[bytes] = []
    wanted: list[tuple[int, list[str] | None]] = []
    for line, record in enumerate(lines, 5):
        if isinstance(record, bytes):
            written.append(record)
            if record.strip():
                wanted.append((line, None))
            continue
        text = json.dumps(record, ensure_ascii=escaped)
        written.append(text.encode(encoding))
        wanted.append((line, expected(json.loads(text))))
    sheet = json_sheet(Block(5, b"\n".join(written)), Layout("json", encoding))
    found = [(line, None if isinstance(row, Torn) else row) for line, row in sheet.rows()]
    assert found == wanted


def test_of_a_torn_row_its_entry_id_is_legible_and_its_neighbours_are_whole() -> None:
    data = b'{"entry_id":"1"}\n{"entry_id":"2","x":1}\n\n{"entry_id":3}\n'
    sheet = json_sheet(Block(1, data), Layout("json"))
    at = COLUMNS.index("entry_id")
    assert [(line, row[at]) for line, row in sheet.rows()] == [(1, "1"), (2, "2"), (4, "3")]
    assert list(sheet.odd) == [1]


def test_a_column_of_zeros_is_not_an_empty_one() -> None:
    sheet = json_sheet(Block(1, b'{"revision":0}\n{"revision":0}'), Layout("json"))
    assert [row[COLUMNS.index("revision")] for _, row in sheet.rows()] == ["0", "0"]
