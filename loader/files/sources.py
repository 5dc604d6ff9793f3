"""List files as rows: CSV, JSON Lines or Parquet, compressed or not, and two courts' feeds.

A `Source` is cut into blocks by one process; `sheet_of` reads one in any process.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Literal, Self, get_args

import msgspec

from loader.columns.sheets import (
    COLUMNS,
    LINE_MAX_BYTES,
    REQUIRED,
    Block,
    Dialect,
    Encoding,
    Form,
    Layout,
    Sheet,
    Torn,
)
from loader.files import foreign, headers
from loader.files.blocks import cut
from loader.files.csv_sheets import csv_cells, csv_sheet
from loader.files.dialect_sheets import dialect_sheet
from loader.files.json_sheets import json_sheet, loose, records_of
from loader.files.parquet import parquet_blocks
from loader.files.streams import Stream
from roster.errors import LoadRefused

Format = Literal["auto", "csv", "jsonl", "parquet", "zxgk", "xycj"]

ARRAY_MAX_BYTES = 256 << 20
"""A JSON array is read as a whole: longer ones have to come as JSON Lines."""

_ENCODINGS: dict[str, Encoding] = {
    "utf8": "utf-8",
    "utf8sig": "utf-8",
    "gb18030": "gb18030",
    "gbk": "gb18030",
    "gb2312": "gb18030",
}
_LINES_LOOKED_AT = 20
_BOM = b"\xef\xbb\xbf"
_FORMS: dict[str, Form] = {
    ".csv": "csv", ".jsonl": "json", ".ndjson": "json", ".json": "json",
}  # fmt: skip


class SourceOptions(msgspec.Struct, frozen=True):
    """What the caller says about a file; `listed` if rows need not name their list."""

    encoding: str = "utf-8"
    format: Format = "auto"
    listed: bool = False


class Source:
    """One list file; a context manager. Raises LoadRefused where the file as a whole is wrong."""

    def __init__(self, path: str, options: SourceOptions) -> None:
        """Opens the file (`-`: standard input) and reads as much of it as shows its layout."""
        encoding = _ENCODINGS.get(options.encoding.lower().replace("-", "").replace("_", ""))
        if encoding is None:
            raise LoadRefused("the encoding must be utf-8 or gb18030")
        self._options = options
        self.stream = Stream(path)
        self.hint = ""
        """What may be wrong with the file as a whole, if its rows turn out to be of no use."""
        try:
            self.layout, self._blocks = self._begin(encoding)
        except BaseException:
            self.stream.__exit__()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stream.__exit__()

    def blocks(self) -> Iterator[Block]:
        """The file's blocks, once, in order."""
        return self._blocks

    def sha256(self) -> str:
        """Of the file as it lies there; asked for after the blocks."""
        return self.stream.sha256()

    def _begin(self, encoding: Encoding) -> tuple[Layout, Iterator[Block]]:
        self.stream.check_name()
        if "parquet" in {self.stream.kind, self._options.format}:
            columns, blocks = parquet_blocks(self.stream.seekable())
            columns = headers.check_columns(columns, listed=self._options.listed)
            return Layout("csv", header=columns), blocks
        head, chunks = _head(self.stream.chunks())
        self.hint = foreign.encoding_hint(head[: foreign.HEAD_BYTES], encoding)
        if encoding != "utf-8" and self.hint:
            raise LoadRefused(self.hint)
        wanted = self._options.format
        dialect: Dialect = next((each for each in get_args(Dialect) if each == wanted), "")
        if _form(wanted, self.stream.inner_name, head) == "json":
            layout = Layout("json", encoding, dialect=dialect)
            if head.lstrip()[:1] == b"[":
                blocks = _array(layout, itertools.chain([head], chunks))
                return msgspec.structs.replace(layout, encoding="utf-8"), blocks
            self.hint = self.hint or (_check_json(head, layout) if head.strip() else "")
            return layout, cut(itertools.chain([head], chunks), 1, None)
        return self._csv(Layout("csv", encoding, (), dialect), head, chunks)

    def _csv(
        self, layout: Layout, head: bytes, chunks: Iterator[bytes]
    ) -> tuple[Layout, Iterator[Block]]:
        if not head.strip():
            return msgspec.structs.replace(layout, header=COLUMNS), iter(())
        line, _, rest = head.partition(b"\n")
        names = [name.strip() for name in _header(line, layout.encoding, self.hint)]
        if layout.dialect:
            header = headers.fields_of(names, layout.dialect)
        else:
            lines = _lines(head, layout.encoding)
            header = headers.check_columns(names, listed=self._options.listed, lines=lines)
        layout = msgspec.structs.replace(layout, header=header)
        return layout, cut(itertools.chain([rest], chunks), 2, len(header))


def sheet_of(block: Block, layout: Layout) -> Sheet:
    """The rows of one block by column."""
    if block.sheet is not None:
        return block.sheet
    if layout.dialect:
        return dialect_sheet(block, layout)
    return json_sheet(block, layout) if layout.form == "json" else csv_sheet(block, layout)


def _array(layout: Layout, chunks: Iterator[bytes]) -> Iterator[Block]:
    """One JSON array as JSON Lines: the number of a row in it stands for its line."""
    data = bytearray()
    for chunk in chunks:
        data += chunk
        if len(data) > ARRAY_MAX_BYTES:
            raise LoadRefused(
                "a JSON array of this size has to come as JSON Lines (`jq -c '.[]' FILE`)"
            )
    records = records_of(bytes(data), layout)
    if records is None:
        raise LoadRefused("the file is neither a whole JSON array nor JSON Lines")
    first = next(records, b"")
    if not layout.dialect and isinstance(keys := loose(first), dict):
        headers.check_keys(list(keys))
    lines = (record + b"\n" for record in itertools.chain([first], records) if record)
    yield from cut(lines, 1, None)


def _head(chunks: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """The file's first line and more, without a byte order mark, and what follows."""
    head = b""
    while b"\n" not in head.strip() and len(head) <= LINE_MAX_BYTES:
        chunk = next(chunks, b"")
        if not chunk:
            break
        head += chunk
    foreign.check_unpacked(head)
    return head.removeprefix(_BOM), chunks


def _form(wanted: Format, name: str, head: bytes) -> Form:
    if wanted in {"csv", "jsonl"}:
        return "csv" if wanted == "csv" else "json"
    looks: Form = "json" if head.lstrip()[:1] in {b"{", b"["} else "csv"
    suffix = name[name.rfind(".") :] if "." in name else ""
    return looks if wanted != "auto" else _FORMS.get(suffix, looks)


def _header(line: bytes, encoding: Encoding, hint: str) -> list[str]:
    line = line.removesuffix(b"\r")
    if b"\r" in line:
        raise LoadRefused("the lines end with CR alone, as on an old Mac: save it with line feeds")
    cells = csv_cells(line, encoding)
    if isinstance(cells, Torn):
        raise headers.unreadable(line.decode(encoding, "replace"), hint, encoding)
    return cells


def _lines(head: bytes, encoding: Encoding) -> list[str]:
    """The file's first lines, as far as they are text."""
    return head[: foreign.HEAD_BYTES].decode(encoding, "replace").split("\n")[:_LINES_LOOKED_AT]


def _check_json(head: bytes, layout: Layout) -> str:
    """What to say of the first rows' keys; raises LoadRefused where they are no rows."""
    lines = [line for line in head.split(b"\n") if line.strip()][:_LINES_LOOKED_AT]
    first = loose(lines[0], layout.encoding) if lines else None
    if first is None and head.lstrip()[:1] == b"{" and lines[1:] and lines[1].lstrip()[:1] == b'"':
        raise LoadRefused(
            "the file is one JSON object over several lines: in JSON Lines each line is a row "
            "(`jq -c . FILE` writes it so)"
        )
    if first is None and all(word.encode() in lines[0].lower() for word in REQUIRED):
        return "the file looks like CSV, not like JSON Lines: --format csv"
    if layout.dialect and isinstance(first, dict) and {*REQUIRED} <= first.keys():
        raise LoadRefused(f"the rows have our own keys, not those of {layout.dialect}: no --format")
    return "" if layout.dialect else _check_keys(lines, layout.encoding)


def _check_keys(lines: list[bytes], encoding: Encoding) -> str:
    rows = [row for line in lines if isinstance(row := loose(line, encoding), dict)]
    for row in rows[:1]:
        for key, value in row.items():
            if (
                isinstance(value, list)
                and isinstance((value or [""])[0], dict)
                and key.isidentifier()
            ):
                raise LoadRefused(
                    f"the file is one JSON object whose key {key} holds the rows: in JSON Lines "
                    f"each line is a row (`jq -c '.{key}[]' FILE` writes them so)"
                )
        headers.check_keys(list(row))
    return headers.key_hint(key for row in rows for key in row)
