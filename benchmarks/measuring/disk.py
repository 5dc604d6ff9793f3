"""What the disk does beside a benchmark: the server's own syncs of its log, and a file's."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, Self

from hdrh.histogram import HdrHistogram

from benchmarks.measuring.report import Figure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import redis

_EVENT = b"aof-fsync-always"
_EVERY_S = 0.02
_BYTES = 16_384
_LONGEST_US = 60_000_000


class Disk:
    """Writes and syncs a file of its own fifty times a second, and has the server count its own."""

    def __init__(self, client: redis.Redis, folder: Path) -> None:
        """Of the server behind `client`, whose log lies on the same disk as `folder`."""
        self._client = client
        self._path = folder / "synced"
        self._times = HdrHistogram(1, _LONGEST_US, 3)
        self._server_ms = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sync)

    def __enter__(self) -> Self:
        self._client.config_set("latency-monitor-threshold", 1)
        self._client.latency_reset()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        seen = {name: longest for name, _, _, longest, *_ in self._client.latency_latest()}
        self._server_ms = float(seen.get(_EVENT, 0))
        self._client.close()

    def figures(self) -> Iterator[Figure]:
        """How long these took, once it has ended; the server tells of those over 1 ms only."""
        for name, percentile in (("p50", 50), ("p99", 99), ("longest", 100)):
            ms = self._times.get_value_at_percentile(percentile) / 1000
            yield Figure(f"a sync of a file beside it: {name}", ms, "ms")
        yield Figure("the server's syncs of its log: longest", self._server_ms, "ms")

    def _sync(self) -> None:
        with self._path.open("wb", buffering=0) as file:
            while not self._ended.wait(_EVERY_S):
                file.write(bytes(_BYTES))
                began = time.perf_counter()
                os.fdatasync(file.fileno())
                self._times.record_value(max(1, round((time.perf_counter() - began) * 1e6)))
