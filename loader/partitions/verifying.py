"""One partition beside the file: where the merge would change something, and doing so."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import msgspec

from loader.partitions.partition import Done, Job, Sum, in_turn, parts_of
from roster.storage.images import build
from roster.storage.logs import end
from roster.storage.snapshots import DifferingEntry, SnapshotMerge
from roster.storage.store import Store

KINDS = {"added": "missing", "ended": "extra", "changed": "different", "superseded": "newer"}
"""What an entry is called about which file and roster disagree, by what the merge would do."""
DIFFERENCES_MAX = 1_000


class Compared(msgspec.Struct):
    """A partition beside the file: the file's digests by list, and the differences.

    `counts` are by list and kind; `differences` are the first of them only. `buckets` are
    those with anything but what is newer in the roster.
    """

    partition: int
    file_digests: dict[int, int]
    counts: Counter[tuple[int, str]]
    differences: list[DifferingEntry]
    buckets: set[int]


async def compare(store: Store, job: Job, folder: Path) -> Compared:
    """How the roster differs from the file; nothing is written, and every record is read."""
    portion, merging = job.portion(folder), SnapshotMerge(store, job.snapshot)
    found = Compared(job.partition, portion.rows.digests, Counter(), [], set())
    parts = parts_of(portion.buckets(), job.call_buckets)
    hows = ((part, job.how(part, shows=True)) for part in parts)
    async for _, merged in in_turn(merging, job.partition, hows):
        found.counts.update((one.list, KINDS[one.kind]) for one in merged.shown)
        found.differences += merged.shown[: DIFFERENCES_MAX - len(found.differences)]
        found.buckets |= {one.bucket for one in merged.shown if one.kind != "superseded"}
    return found


async def repair(store: Store, job: Job, folder: Path, numbers: set[int]) -> Done:
    """What merging these buckets again did; the partition gets a new image."""
    portion, merging, total = job.portion(folder), SnapshotMerge(store, job.snapshot), Sum()
    for part in parts_of(portion.with_rows(numbers), job.call_buckets):
        total.add(await merging.merge(job.partition, part.buckets, job.how(part)))
    here = await end(store, job.partition)
    await merging.finish(here, (await build(store, job.partition)).to_bytes(), whole=False)
    return total.done(job, portion.rows.people, portion.rows.duplicates)
