"""Parquet files as rows; needs pyarrow, an extra.

Texts are read with their dictionaries: a page of a few bytes may say a text of a megabyte
16,000 times, and is no more than one text in memory then.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Any

import msgspec
import numpy as np

from loader.columns.columns import AHEAD_BYTES, Bools, Columns, Numbers, sizes_of
from loader.columns.sheets import LINE_MAX_BYTES, Block, Sheet, Torn, padded, spelled, whole
from loader.columns.texts import BEHIND_FIRST, is_utf8
from loader.files.streams import RATIO_FREE_BYTES, RATIO_MAX
from roster.errors import LoadRefused

_BATCH_ROWS = 16_384
_CELL_MAX = 16 << 10
"""Twice what the longest column may hold: what is cut off is too long with and without it."""
_EXACT_BELOW = {"halffloat": 1 << 11, "float": 1 << 24}
"""What smaller floats hold exactly, by pyarrow's names of their types."""
_NO_ROW = "\0"
"""What no text may hold: its row is `Torn`."""


class _ColumnCells(msgspec.Struct, frozen=True):
    """The cells of a column; the row of a torn one is `Torn`."""

    text: bytes
    starts: Numbers
    sizes: Numbers
    torn: Bools

    def chosen(self, which: Numbers) -> _ColumnCells:
        """Some of them."""
        return _ColumnCells(self.text, self.starts[which], self.sizes[which], self.torn[which])


def parquet_blocks(file: IO[bytes]) -> tuple[tuple[str, ...], Iterator[Block]]:
    """The file's columns, and its rows in blocks; raises LoadRefused."""
    try:
        import pyarrow  # noqa: F401, ICN001, PLC0415 -- an extra
    except ImportError as exc:
        raise LoadRefused("Parquet needs pyarrow: pip install 'clearway[parquet]'") from exc
    with _sound("the file is not Parquet, truncated or damaged"):
        table = _opened(file)
        names = tuple(table.schema_arrow.names)
    return names, _blocks(table)


def _opened(file: IO[bytes]) -> Any:  # noqa: ANN401 -- pyarrow has no types
    from pyarrow import parquet, set_memory_pool, system_memory_pool, types  # noqa: PLC0415 -- an extra

    # Its own pool keeps a fifth more in hand than is in use; so does each thread that decodes.
    set_memory_pool(system_memory_pool())
    metadata = parquet.read_metadata(file)
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    size = sum(group.total_byte_size for group in groups)
    if size > RATIO_FREE_BYTES and size > RATIO_MAX * file.seek(0, 2):
        raise LoadRefused(f"the file grows more than {RATIO_MAX} times: not a list")
    texts = [
        field.name for field in metadata.schema.to_arrow_schema() if types.is_string(field.type)
    ]
    return parquet.ParquetFile(file, read_dictionary=texts, page_checksum_verification=True)


def _blocks(table: Any) -> Iterator[Block]:  # noqa: ANN401 -- pyarrow has no types
    line = 1
    batches = table.iter_batches(_BATCH_ROWS, use_threads=False)
    while True:
        with _sound("the Parquet file is truncated or damaged"):
            batch = next(batches, None)
            if batch is None:
                return
            sheet = _sheet([_cells(column) for column in batch], line, batch.num_rows)
        yield Block(line, sheet=sheet)
        line += batch.num_rows


def _sheet(columns: Sequence[_ColumnCells], line: int, count: int) -> Sheet:
    befores = np.cumsum([AHEAD_BYTES, *(len(each.text) for each in columns)]).tolist()
    found = Columns(
        padded(b"".join(each.text for each in columns)),
        np.stack([each.starts + at for each, at in zip(columns, befores, strict=False)]),
        np.stack([each.sizes for each in columns]),
    )
    torn = np.logical_or.reduce([each.torn for each in columns])
    odd = {index: Torn(found.row(index)) for index in np.flatnonzero(torn).tolist()}
    found.sizes[:, torn] = 0
    return Sheet(found, np.arange(line, line + count), odd)


def _cells(column: Any) -> _ColumnCells:  # noqa: ANN401 -- pyarrow has no types
    """A column's cells: of texts the bytes as they lie there, once each."""
    import pyarrow as pa  # noqa: PLC0415 -- an extra

    if hasattr(column, "dictionary"):
        indices = column.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        used, which = np.unique(indices, return_inverse=True)
        texts = column.dictionary.take(pa.array(used, mask=used < 0))
        return _of_texts(texts).chosen(which)
    if pa.types.is_integer(column.type) or pa.types.is_date32(column.type):
        return _of_texts(column.cast(pa.string()))
    exact_below = _EXACT_BELOW.get(str(column.type), 1 << 53)
    return _of_values([_cell(value, exact_below) for value in column.to_pylist()])


def _of_texts(column: Any) -> _ColumnCells:  # noqa: ANN401 -- pyarrow has no types
    column = column.fill_null("")
    _, ends, octets = column.buffers()
    ends = np.frombuffer(ends, np.int32)[column.offset :][: len(column) + 1].astype(np.int64)
    first, last = int(ends[0]), int(ends[-1])
    text = octets.slice(first, last - first).to_pybytes() if last > first else b""
    starts, sizes = ends[:-1] - first, np.diff(ends)
    begun = starts[starts < len(text)]
    inside = np.frombuffer(text, np.int8)[begun] < BEHIND_FIRST
    if sizes.max(initial=0) <= _CELL_MAX and not (b"\0" in text or inside.any()) and is_utf8(text):
        return _ColumnCells(text, starts, sizes, np.zeros(len(starts), np.bool_))
    places = zip(starts.tolist(), sizes.tolist(), strict=True)
    cells = (text[start : start + size] for start, size in places)
    return _of_values([_cell(cell.decode("utf-8", "surrogateescape")) for cell in cells])


def _of_values(cells: Sequence[str]) -> _ColumnCells:
    rows = [whole([cell]) for cell in cells]
    parts = [row[0].encode() for row in rows]
    sizes = sizes_of(parts)
    torn = np.array([row.__class__ is Torn for row in rows], np.bool_)
    return _ColumnCells(b"".join(parts), np.cumsum(sizes) - sizes, sizes, torn)


def _cell(value: object, exact_below: int = 0) -> str:
    text = spelled(value, exact_below)
    return text[:_CELL_MAX] if len(text) <= LINE_MAX_BYTES else _NO_ROW


@contextmanager
def _sound(otherwise: str) -> Iterator[None]:
    """Make LoadRefused of whatever pyarrow and the types of Python make of damage.

    Its own errors are ValueErrors, KeyErrors and so on; names that are not UTF-8, dates after
    the year 9999 and counts that no memory holds raise Python's.
    """
    from pyarrow import ArrowException  # noqa: PLC0415 -- an extra

    try:
        yield
    except (ArrowException, OSError, ValueError, LookupError, OverflowError, MemoryError) as exc:
        raise LoadRefused(otherwise) from exc
