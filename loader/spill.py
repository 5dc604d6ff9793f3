"""Packed rows put aside on disk by partition, so that a file of any size fits into memory."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from roster import locks
from roster.keys import PARTITIONS
from roster.server_files import private_folder

_ROWS_MAX = 1_024
_PREFIX = "load-"
_LOCK = "lock"
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[bytes]).decode
_SIZE_BYTES = 4


@contextmanager
def spill_folder(data_dir: Path) -> Iterator[Path]:
    """A folder for one load's spills; what loads that were killed have left is removed."""
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
        self.buffers: list[list[bytes]] = [[] for _ in range(PARTITIONS)]
        """Rows that are not written yet; whoever adds to them calls `settle` now and then."""

    def settle(self) -> None:
        """Nothing; at most `_ROWS_MAX` rows of each partition are still in memory."""
        for partition, rows in enumerate(self.buffers):
            if len(rows) > _ROWS_MAX:
                self._write(partition)

    def close(self) -> None:
        """Nothing; everything is written."""
        for partition, rows in enumerate(self.buffers):
            if rows:
                self._write(partition)

    def _write(self, partition: int) -> None:
        data = _encode(self.buffers[partition])
        with _path(self._folder, self._worker, partition).open("ab", buffering=0) as file:
            file.write(len(data).to_bytes(_SIZE_BYTES) + data)
        self.buffers[partition] = []


def read_spill(folder: Path, partition: int) -> list[bytes]:
    """The rows of a partition that all processes have put aside."""
    rows: list[bytes] = []
    for path in folder.glob(f"*-{partition:02d}.rows"):
        with path.open("rb") as file:
            while size := file.read(_SIZE_BYTES):
                rows += _decode(file.read(int.from_bytes(size)))
    return rows


def _path(folder: Path, worker: int, partition: int) -> Path:
    return folder / f"{worker}-{partition:02d}.rows"
