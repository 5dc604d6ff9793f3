"""What one process of a load does: reads blocks, then merges partitions."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from loader.partitions import diffs, filling, partition, verifying
from loader.partitions.diffs import Diffing
from loader.partitions.partition import Done, Job, Preview
from loader.partitions.verifying import Compared
from loader.rows.packing import Context
from loader.rows.scatter import Piece, Scatter, Scattered
from roster.records.position import Position
from roster.redis.nodes import bulk_nodes
from roster.redis.target import Target
from roster.storage.store import Store
from roster.times import DAY_MS

T = TypeVar("T")


class Setup(msgspec.Struct, frozen=True):
    """Where a worker reads and writes."""

    context: Context
    folder: Path
    target: Target
    audit_days: int


class Worker:
    """A load's work in one process; each method is one task of it."""

    def __init__(self, setup: Setup, number: int) -> None:
        """`number` tells it from the load's other workers."""
        self._setup = setup
        self._scatter = Scatter(setup.context, setup.folder, number)
        self._runner: asyncio.Runner | None = None
        self._store: Store | None = None

    def read(self, piece: Piece) -> int:
        """How many rows the piece has."""
        return self._scatter.read(piece)

    def close_scatter(self) -> Scattered:
        """What this process has read; no more is to come."""
        return self._scatter.close()

    def preview(self, job: Job) -> Preview:
        """What a partition's merge would do."""
        return self._run(partition.preview(self._opened(), job, self._setup.folder))

    def merge(self, task: tuple[Job, Position, bool]) -> Done:
        """What a partition's merge did."""
        job, begun, previewed = task
        store, folder = self._opened(), self._setup.folder
        merge = filling.fill if filling.suits(job) and not previewed else partition.merge
        return self._run(merge(store, job, folder, begun))

    def diff(self, task: tuple[Job, Diffing]) -> Path:
        """A partition's part of the diff."""
        job, diffing = task
        return self._run(diffs.write_part(self._opened(), job, self._setup.folder, diffing))

    def compare(self, job: Job) -> Compared:
        """How a partition differs from the file."""
        return self._run(verifying.compare(self._opened(), job, self._setup.folder))

    def repair(self, task: tuple[Job, set[int]]) -> Done:
        """What merging some buckets of a partition again did."""
        job, numbers = task
        return self._run(verifying.repair(self._opened(), job, self._setup.folder, numbers))

    def peak_bytes(self) -> int:
        """The most memory that this process has had."""
        return peak_bytes()

    def close(self) -> None:
        """Nothing; its connections and files are closed."""
        self._scatter.abandon()
        if self._runner is not None and self._store is not None:
            self._run(self._store.nodes.close())
            self._runner.close()
            self._runner = None

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        if self._runner is None:
            self._runner = asyncio.Runner()
        return self._runner.run(work)

    def _opened(self) -> Store:
        if self._store is None:
            nodes, tokeniser = bulk_nodes(self._setup.target), self._setup.context.tokeniser
            self._store = Store(nodes, tokeniser, keep_ms=self._setup.audit_days * DAY_MS)
        return self._store


def peak_bytes() -> int:
    """The most memory that this process has had, as the kernel counts it (getrusage(2))."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
