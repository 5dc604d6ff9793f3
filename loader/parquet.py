"""Parquet files as rows; needs pyarrow, an extra."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

from loader.layout import Block, spelled, whole
from roster.errors import LoadRefused

_BATCH_ROWS = 16_384


def parquet_blocks(file: IO[bytes]) -> tuple[tuple[str, ...], Iterator[Block]]:
    """The file's columns, and its rows in blocks; raises LoadRefused."""
    try:
        from pyarrow import ArrowException, parquet  # noqa: PLC0415 -- an extra
    except ImportError as exc:
        raise LoadRefused("Parquet needs pyarrow: pip install 'clearway[parquet]'") from exc
    try:
        table = parquet.ParquetFile(file, page_checksum_verification=True)
    except (ArrowException, OSError) as exc:
        raise LoadRefused("the file is not Parquet, truncated or damaged") from exc

    def blocks() -> Iterator[Block]:
        line = 1
        try:
            for batch in table.iter_batches(_BATCH_ROWS):
                columns = [[spelled(value) for value in column.to_pylist()] for column in batch]
                yield Block(
                    line, rows=tuple(whole(list(row)) for row in zip(*columns, strict=True))
                )
                line += batch.num_rows
        except (ArrowException, OSError, UnicodeDecodeError) as exc:
            raise LoadRefused("the Parquet file is truncated or damaged") from exc

    return tuple(table.schema_arrow.names), blocks()
