"""Parquet files as rows; needs pyarrow, an extra.

Texts are read with their dictionaries: a page of a few bytes may say a text of a megabyte
16,000 times, and is no more than one text in memory then.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from loader.layout import LINE_MAX_BYTES, Block, spelled, whole
from loader.streams import RATIO_FREE_BYTES, RATIO_MAX
from roster.errors import LoadRefused

_BATCH_ROWS = 16_384
_CELL_MAX = 16 << 10
"""Twice what the longest column may hold: what is cut off is too long with and without it."""
_EXACT_BELOW = {"halffloat": 1 << 11, "float": 1 << 24}
"""What smaller floats hold exactly, by pyarrow's names of their types."""
_NO_ROW = "\0"
"""What no text may hold: its row is `Torn`."""


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
    from pyarrow import parquet, types  # noqa: PLC0415 -- an extra

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
    batches = table.iter_batches(_BATCH_ROWS)
    while True:
        with _sound("the Parquet file is truncated or damaged"):
            batch = next(batches, None)
            if batch is None:
                return
            columns = [_cells(column) for column in batch]
        yield Block(line, rows=tuple(whole(list(row)) for row in zip(*columns, strict=True)))
        line += batch.num_rows


def _cells(column: Any) -> list[str]:  # noqa: ANN401 -- pyarrow has no types
    if not hasattr(column, "dictionary"):
        exact_below = _EXACT_BELOW.get(str(column.type), 1 << 53)
        return [_cell(value, exact_below) for value in column.to_pylist()]
    texts = list(map(_cell, column.dictionary.to_pylist()))
    return ["" if index is None else texts[index] for index in column.indices.to_pylist()]


def _cell(value: object, exact_below: int = 0) -> str:
    text = spelled(value, exact_below)
    return text[:_CELL_MAX] if len(text) <= LINE_MAX_BYTES else _NO_ROW


@contextmanager
def _sound(otherwise: str) -> Iterator[None]:
    """Nothing; whatever pyarrow and the types of Python make of damage becomes LoadRefused.

    Its own errors are ValueErrors, KeyErrors and so on; names that are not UTF-8, dates after
    the year 9999 and counts that no memory holds raise Python's.
    """
    from pyarrow import ArrowException  # noqa: PLC0415 -- an extra

    try:
        yield
    except (ArrowException, OSError, ValueError, LookupError, OverflowError, MemoryError) as exc:
        raise LoadRefused(otherwise) from exc
