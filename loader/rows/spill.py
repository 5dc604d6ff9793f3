"""Packed rows put aside on disk by partition, so that a file of any size fits into memory."""

from __future__ import annotations

import os
import shutil
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import numpy as np

from loader.rows.table import FIXED_BYTES, Packed, Table, fixed_of
from roster.embedded import locks
from roster.embedded.server_files import private_folder
from roster.errors import LoadRefused
from roster.keys import PARTITIONS

_ROWS_MAX = 1_024
_PREFIX = "load-"
_LOCK = "lock"
_CHUNK = struct.Struct(">IQ")
"""How many rows follow, and the size of their rests; then the columns of `Table`."""


@contextmanager
def written(what: str) -> Iterator[None]:
    """What is written within; raises LoadRefused where the disk is full, or fails otherwise."""
    try:
        yield
    except OSError as exc:
        raise LoadRefused(f"{what} cannot be written: {exc.strerror}") from exc


@contextmanager
def spill_folder(data_dir: Path) -> Iterator[Path]:
    """A folder for one load's spills; what loads that were killed have left is removed."""
    with written("the data folder"):
        parent = private_folder(data_dir)
        for left in parent.glob(f"{_PREFIX}*"):
            _remove_if_abandoned(left)
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        lock = locks.take_if_free(folder / _LOCK)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def _remove_if_abandoned(folder: Path) -> None:
    try:
        lock = locks.take_if_free(folder / _LOCK)
    except OSError:
        return
    if lock is not None:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


class Spill:
    """One process' rows, partition by partition."""

    def __init__(self, folder: Path, worker: int) -> None:
        """The files are the folder's; `worker` tells them from other processes' ones."""
        self._folder = folder
        self._worker = worker
        self._waiting: list[list[tuple[bytes, bytes, bytes]]] = [[] for _ in range(PARTITIONS)]
        self._counts = [0] * PARTITIONS

    def add(self, packed: Packed) -> None:
        """Nothing; at most `_ROWS_MAX` rows of each partition are in memory still."""
        order = np.argsort(packed.partitions, kind="stable")
        table = packed.chosen(order).table()
        bounds = np.searchsorted(packed.partitions[order], np.arange(PARTITIONS + 1)).tolist()
        ends = [0, *np.cumsum(table.sizes).tolist()]
        for partition, (at, end) in enumerate(pairwise(bounds)):
            if at < end:
                rests = table.rests[ends[at] : ends[end]]
                part = table.fixed[at:end].tobytes(), table.sizes[at:end].tobytes(), rests
                self._waiting[partition].append(part)
                self._counts[partition] += end - at
                if self._counts[partition] > _ROWS_MAX:
                    self._write(partition)

    def close(self) -> None:
        """Nothing; everything is written."""
        for partition, count in enumerate(self._counts):
            if count:
                self._write(partition)

    def _write(self, partition: int) -> None:
        fixed, sizes, rests = map(b"".join, zip(*self._waiting[partition], strict=True))
        head = _CHUNK.pack(self._counts[partition], len(rests))
        path = _path(self._folder, self._worker, partition)
        with written("the data folder"), path.open("ab") as file:
            file.write(b"".join((head, fixed, sizes, rests)))
        self._waiting[partition], self._counts[partition] = [], 0


def read_spill(folder: Path, partition: int) -> Table:
    """The rows of a partition that all processes have put aside."""
    fixed, sizes, rests = [], [], []
    for path in folder.glob(f"*-{partition:02d}.rows"):
        with path.open("rb") as file:
            while head := file.read(_CHUNK.size):
                count, size = _CHUNK.unpack(head)
                fixed.append(file.read(count * FIXED_BYTES))
                sizes.append(file.read(count * np.int64().itemsize))
                rests.append(file.read(size))
    numbers = np.frombuffer(b"".join(sizes), np.int64)
    return Table(fixed_of(fixed), numbers, b"".join(rests))


def _path(folder: Path, worker: int, partition: int) -> Path:
    return folder / f"{worker}-{partition:02d}.rows"
