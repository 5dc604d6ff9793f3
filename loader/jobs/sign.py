"""Reads a file once and states, signed, what it is: the manifest that `load` checks."""

from __future__ import annotations

from pathlib import Path

import msgspec

from loader.files.manifest import (
    Manifest,
    manifest_path,
    private_key_of,
    read_manifest,
    write_signed,
)
from loader.runs.guard import check_names
from loader.sheets.sources import Format, Source, SourceOptions, sheet_of
from roster.documents.spelling import trimmed
from roster.errors import LoadRefused
from roster.rules.restrictions import Lists
from roster.times import format_ms


class Signing(msgspec.Struct, frozen=True):
    """What to sign; `as_of` and `lists` are what an older manifest says, where not given."""

    path: str
    private_key: Path
    lists: tuple[str, ...] = ()
    as_of: int | None = None
    format: Format = "auto"
    encoding: str = "utf-8"


def sign(signing: Signing, lists: Lists, now_ms: int) -> Manifest:
    """The manifest, which lies beside the file now, with its signature; raises LoadRefused."""
    key = private_key_of(signing.private_key)
    check_names(signing.lists, lists)
    before = _older(signing.path)
    named = signing.lists or before.lists or ()
    rows, sha256, found = _read(signing, named)
    as_of = signing.as_of if signing.as_of is not None else before.as_of_ms
    manifest = Manifest(
        as_of=format_ms(now_ms if as_of is None else as_of),
        lists=named or tuple(sorted(found)),
        rows=rows,
        sha256=sha256,
    )
    check_names(manifest.lists or (), lists)
    write_signed(signing.path, manifest, key)
    return manifest


def _older(path: str) -> Manifest:
    if not manifest_path(path).exists():
        return Manifest()
    return read_manifest(path, None) or Manifest()


def _read(signing: Signing, named: tuple[str, ...]) -> tuple[int, str, set[str]]:
    """How many rows the file has, its SHA-256, and the lists that they name."""
    options = SourceOptions(signing.encoding, signing.format, listed=len(named) == 1)
    rows, found = 0, set[str]()
    with Source(signing.path, options) as source:
        columns = source.layout.columns
        at = columns.index("list") if "list" in columns else None
        for block in source.blocks():
            sheet = sheet_of(block, source.layout)
            rows += len(sheet)
            cells, torn = sheet.legible()
            if not torn.all():
                lists, _ = cells.column(at).chosen(~torn).distinct()
                found.update(map(trimmed, lists.texts()))
        sha256 = source.sha256()
    found.discard("")
    if not named and not found:
        raise LoadRefused("the file names no list: say which with --list")
    return rows, sha256, found
