"""Lists of people who do not exist, at any scale, always the same bytes for a seed.

They have the shape of the real ones: 1.78 entries a person with a tail up to dozens,
several lists and document types, courts and case numbers of the real form, terms that are
past, running and still to come. Sources write them in several shapes
(`loader/synthetic/shapes.py`).
"""

from __future__ import annotations

import gzip
import io
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

import msgspec
import numpy as np

from loader.synthetic.shapes import COLUMNS_OF, cells_of, csv_lines, header_of, joined, json_lines
from loader.synthetic.world import LISTS, Recipe, World, make_world

AS_OF = "2019-01-01"
"""After every revision in a list and before every one among its changes."""

_CHUNK_ROWS = 1 << 16
_PUT_BELOW, _REMOVE_BELOW = 0.25, 0.85
_AS_OF_MS = 1_546_272_000_000  # 2019-01-01T00:00:00+08:00


class Generated(msgspec.Struct, frozen=True):
    """What was made; `lists` are those of it, and `as_of` is a time to load it with."""

    people: int
    entries: int
    changes: int
    lists: tuple[str, ...] = LISTS
    as_of: str = AS_OF


def generate(
    recipe: Recipe, out: Path, changes_out: Path | None, progress: Callable[[int], None]
) -> Generated:
    """Writes the list and the changes; all of both, or nothing.

    The list is JSON Lines where `out` ends in .jsonl, else CSV, and gzipped where .gz is behind
    it. `progress` is told how many rows are written. Raises ValueError for a recipe that cannot
    be followed.
    """
    _check(recipe, changes_out)
    rng = np.random.default_rng(recipe.seed)
    world = make_world(recipe, rng)
    with ExitStack() as stack:
        rows = stack.enter_context(_whole(out))
        as_json = out.name.removesuffix(".gz").endswith(".jsonl")
        if not as_json:
            rows.write(joined([header_of(recipe.shape)], recipe.shape))
        written = json_lines if as_json else csv_lines
        for start in range(0, recipe.entries, _CHUNK_ROWS):
            end = min(start + _CHUNK_ROWS, recipe.entries)
            cells = cells_of(world, np.arange(start, end), recipe.shape)
            rows.write(written(cells, recipe.shape))
            progress(end)
        if changes_out is not None:
            changes = stack.enter_context(_whole(changes_out))
            changes.writelines(_changes(world, recipe, rng))
    lists = tuple(LISTS[code] for code in np.unique(world.lists).tolist())
    return Generated(recipe.people, recipe.entries, recipe.changes, lists)


def _check(recipe: Recipe, changes_out: Path | None) -> None:
    if recipe.people < 1 or recipe.entries < recipe.people:
        raise ValueError("there must be people, and at least one entry for each")
    if not 0 <= recipe.changes <= recipe.entries:
        raise ValueError("there can be no more changes than entries")
    if recipe.changes and changes_out is None:
        raise ValueError("changes need a file to go to")


@contextmanager
def _whole(path: Path) -> Iterator[IO[bytes]]:
    """A file that is there when all of it is written, and not before."""
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("wb") as file:
            if path.suffix == ".gz":
                # Neither name nor time: the same list is the same bytes.
                with gzip.GzipFile("", "wb", 1, file, mtime=0) as packed:
                    buffered = io.BufferedWriter(packed, 1 << 20)
                    yield buffered
                    buffered.flush()
            else:
                yield file
        os.replace(partial, path)  # noqa: PTH105 -- the word for what it does
    finally:
        partial.unlink(missing_ok=True)


def _changes(world: World, recipe: Recipe, rng: np.random.Generator) -> Iterator[bytes]:
    """JSON Lines of changes that all have an effect, each to another entry, oldest first."""
    which = rng.choice(len(world.who), size=recipe.changes, replace=False)
    lots = rng.random(recipe.changes).tolist()
    rows = zip(*cells_of(world, which, recipe.shape).values(), strict=True)
    for index, (row, lot) in enumerate(zip(rows, lots, strict=True)):
        cells = dict(zip(COLUMNS_OF[recipe.shape], row, strict=True))
        change = _change(cells, lot, _AS_OF_MS + (index + 1) * 1000)
        yield msgspec.json.encode(change) + b"\n"


def _change(cells: dict[str, str], lot: float, revision: int) -> dict[str, object]:
    document = {"type": cells["document_type"], "number": cells["document_number"]}
    if cells["document_issuer"]:
        document["issuer"] = cells["document_issuer"]
    op, reason = _op(cells.get("state", ""), lot)
    change: dict[str, object] = {
        "op": op,
        "list": cells["list"],
        "entry_id": cells["entry_id"],
        "revision": revision,
        "document": document,
    }
    if op == "put":
        entry = {key: cells[key] or None for key in ("name", "from", "case", "court")}
        given = {key: value for key, value in entry.items() if value}
        return {**change, "entry": {**given, "until": "2099-12-31"}}
    return {**change, "reason": reason}


def _op(state: str, lot: float) -> tuple[str, str]:
    """What has an effect on an entry in that state, and why it might be done."""
    if state == "suspended":
        return "resume", "dispute"
    if state == "removed" or lot < _PUT_BELOW:
        return "put", ""
    return ("remove", "performed") if lot < _REMOVE_BELOW else ("suspend", "dispute")
