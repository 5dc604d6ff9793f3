"""Reads a file once and states, signed, what it is: the manifest that `load` checks."""

from __future__ import annotations

from pathlib import Path

from loader.files.sources import Source, SourceOptions, sheet_of
from loader.jobs.guard import check_names
from loader.jobs.intake import Files
from loader.jobs.manifest import (
    Manifest,
    private_key_of,
    read_manifest,
    write_signed,
)
from roster.documents.spelling import trimmed
from roster.errors import LoadRefused
from roster.rules.restrictions import Lists
from roster.times import format_ms


def sign(files: Files, private_key: Path, lists: Lists, now_ms: int) -> Manifest:
    """The manifest, which lies beside the one file now, with its signature; raises LoadRefused.

    Where `as_of` and `lists` are not given, an older manifest's count.
    """
    key, (path,) = private_key_of(private_key), files.paths
    check_names(files.lists, lists)
    before = read_manifest(path, None) or Manifest()
    named = files.lists or before.lists or ()
    rows, sha256, found = _read(path, files, named)
    as_of = files.as_of if files.as_of is not None else before.as_of_ms
    manifest = Manifest(
        as_of=format_ms(now_ms if as_of is None else as_of),
        lists=named or tuple(sorted(found)),
        rows=rows,
        sha256=sha256,
    )
    check_names(manifest.lists or (), lists)
    write_signed(path, manifest, key)
    return manifest


def _read(path: str, files: Files, named: tuple[str, ...]) -> tuple[int, str, set[str]]:
    """How many rows the file has, its SHA-256, and the lists that they name."""
    options = SourceOptions(files.encoding, files.format, listed=len(named) == 1)
    rows, found = 0, set[str]()
    with Source(path, options) as source:
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
