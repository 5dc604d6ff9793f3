"""Parquet files as rows; needs pyarrow, an extra."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from loader.layout import Block, spelled, whole
from roster.errors import LoadRefused

_BATCH_ROWS = 16_384


def parquet_blocks(file: IO[bytes]) -> tuple[tuple[str, ...], Iterator[Block]]:
    """The file's columns, and its rows in blocks; raises LoadRefused."""
    try:
        from pyarrow import parquet  # noqa: PLC0415 -- an extra
    except ImportError as exc:
        raise LoadRefused("Parquet needs pyarrow: pip install 'clearway[parquet]'") from exc
    with _sound("the file is not Parquet, truncated or damaged"):
        table = parquet.ParquetFile(file, page_checksum_verification=True)
        names = tuple(table.schema_arrow.names)

    def blocks() -> Iterator[Block]:
        line = 1
        batches = table.iter_batches(_BATCH_ROWS)
        while True:
            with _sound("the Parquet file is truncated or damaged"):
                batch = next(batches, None)
                if batch is None:
                    return
                columns = [[spelled(value) for value in column.to_pylist()] for column in batch]
            yield Block(line, rows=tuple(whole(list(row)) for row in zip(*columns, strict=True)))
            line += batch.num_rows

    return names, blocks()


@contextmanager
def _sound(otherwise: str) -> Iterator[None]:
    """Nothing; whatever pyarrow and the types of Python make of damage becomes LoadRefused.

    Its own errors are ValueErrors, KeyErrors and so on; names that are not UTF-8, dates after
    the year 9999 and counts that no memory holds raise Python's.
    """
    from pyarrow import ArrowException  # noqa: PLC0415 -- an extra

    try:
        yield
    except (ArrowException, OSError, ValueError, OverflowError, MemoryError) as exc:
        raise LoadRefused(otherwise) from exc
