"""The file of high-water marks in a data folder: what a machine knows to be acknowledged.

One file for each roster: marks of one must never be taken for another's.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from roster.records.position import WIRE_BYTES, HighWater, from_wire, high_water_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_HEAD_BYTES = 2
"""Before each mark: its partition, and how many bytes it has."""


def marks_file(folder: Path, check_value: bytes, roster: bytes) -> Path:
    """Where the marks of the roster with this ID key and this id are."""
    return folder / f"marks-{check_value.hex()}-{roster.decode()}"


def pack_marks(marks: Iterable[HighWater]) -> bytes:
    """What the file holds."""
    each = ((mark.position.partition, mark.wire) for mark in sorted(marks))
    return b"".join(bytes((partition, len(wire))) + wire for partition, wire in each)


def read_marks(path: Path) -> list[HighWater]:
    """The marks of a file, none where there is none or it is damaged from here on."""
    try:
        data = path.read_bytes()
    except OSError:
        return []
    return list(_marks(data))


def _marks(data: bytes) -> Iterator[HighWater]:
    at = 0
    while at + _HEAD_BYTES + WIRE_BYTES <= len(data):
        partition, size = data[at], data[at + 1]
        wire = data[at + _HEAD_BYTES : at + _HEAD_BYTES + size]
        if len(wire) < size or size < WIRE_BYTES:
            return
        yield high_water_of(partition, wire)
        at += _HEAD_BYTES + size


def old_marks(folder: Path, check_value: bytes, histories: dict[int, int]) -> list[HighWater]:
    """The marks of a version that named no roster, where they are of these histories."""
    try:
        data = (folder / f"marks-{check_value.hex()}").read_bytes()
    except OSError:
        return []
    size = 1 + WIRE_BYTES
    chunks = [data[at : at + size] for at in range(0, len(data) - size + 1, size)]
    marks = [HighWater(from_wire(chunk[0], chunk[1:])) for chunk in chunks]
    return [m for m in marks if histories.get(m.position.partition) == m.position.history]


def add_marks(path: Path, marks: Iterable[HighWater]) -> None:
    """Put these marks into the file, where it has no further ones. Raises OSError."""
    known = {mark.position.partition: mark for mark in read_marks(path)}
    for mark in marks:
        old = known.get(mark.position.partition)
        if old is None or not old.position.includes(mark.position):
            known[mark.position.partition] = mark
    replace_file(path, pack_marks(known.values()))


def replace_file(path: Path, data: bytes) -> None:
    """Make the file hold these bytes, or leave the old ones. Raises OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.write_bytes(data)
    draft.replace(path)
