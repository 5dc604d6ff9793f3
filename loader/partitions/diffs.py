"""What a partition's merge would change, entry by entry: compared with the file, or as CSV.

Never whose an entry is: neither numbers nor names.
"""

from __future__ import annotations

import csv
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from loader.partitions.imaging import MergeReplies
from loader.partitions.partition import (
    PartitionJob,
    PartitionResult,
    done_of,
    in_turn,
    kept_in_buckets,
    parts_of,
)
from roster.errors import LoadRefused, Unreadable
from roster.records.entry import BIND, Entry, State
from roster.records.record import Dictionaries, parse_record
from roster.records.replies import Rewritten
from roster.rules.restrictions import Lists
from roster.rules.standing import denied
from roster.storage.images import build
from roster.storage.logs import end
from roster.storage.snapshots import DifferingEntry, SnapshotMerge
from roster.storage.store import Store

KINDS = {"added": "missing", "ended": "extra", "changed": "different", "superseded": "newer"}
"""What an entry is called about which file and roster disagree, by what the merge would do."""
DIFFERENCES_MAX = 1_000
COLUMNS = ("list", "entry_id", "case", "court", "change", "person")
FREE, DENIED, BOUND = "free", "newly denied", "bound"
_LIVE = frozenset({State.ACTIVE, State.SUSPENDED})


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


async def compare(store: Store, job: PartitionJob, folder: Path) -> Compared:
    """How the roster differs from the file; nothing is written, and every record is read."""
    portion, merging = job.portion(folder), SnapshotMerge(store, job.snapshot)
    found = Compared(job.partition, portion.rows.digests, Counter(), [], set())
    parts = parts_of(portion.buckets(), job.call_buckets)
    async for _, merged in in_turn(merging, job, parts, shows=True):
        found.counts.update((one.list, KINDS[one.kind]) for one in merged.shown)
        found.differences += merged.shown[: DIFFERENCES_MAX - len(found.differences)]
        found.buckets |= {one.bucket for one in merged.shown if one.kind != "superseded"}
    return found


async def repair(
    store: Store, job: PartitionJob, folder: Path, numbers: set[int]
) -> PartitionResult:
    """What merging these buckets again did; the partition gets a new image."""
    portion, merging, total = (
        job.portion(folder),
        SnapshotMerge(store, job.snapshot),
        MergeReplies(),
    )
    for part in parts_of(portion.with_rows(numbers), job.call_buckets):
        total.add(await merging.merge(job.partition, part.buckets, job.how(part)))
    here = await end(store, job.partition)
    await merging.finish(here, (await build(store, job.partition)).to_bytes(), whole=False)
    return done_of(job, total, portion.rows)


class DiffContext(msgspec.Struct, frozen=True):
    """By what records are read and judged; `courts` are names by their four bytes."""

    lists: Lists
    courts: dict[bytes, str]
    now_ms: int


async def write_part(store: Store, job: PartitionJob, folder: Path, diffing: DiffContext) -> Path:
    """A partition's part of the diff, in the folder."""
    merging, part = SnapshotMerge(store, job.snapshot), folder / f"{job.partition:02d}.diff"
    with part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        buckets = (each._replace(tally=b"") for each in job.portion(folder).buckets())
        for call in parts_of(buckets, job.call_buckets):
            kept = kept_in_buckets(job.kept, call.buckets)
            for changed in await merging.diff(job.partition, call.buckets, kept):
                writer.writerows(_rows(changed, diffing))
    return part


def join(parts: Iterable[Path], path: Path) -> None:
    """Join the parts to one file, which says without any that nothing changes.

    Raises LoadRefused.
    """
    try:
        with path.open("wb") as whole:
            whole.write(",".join(COLUMNS).encode() + b"\r\n")
            for each in sorted(parts):
                with each.open("rb") as part:
                    shutil.copyfileobj(part, whole)
    except OSError as exc:
        raise LoadRefused(f"the diff cannot be written: {exc.strerror}") from exc


def _rows(changed: Rewritten, diffing: DiffContext) -> Iterator[tuple[str, ...]]:
    """A row for each entry of the person that changes."""
    known = Dictionaries(diffing.courts, {})
    try:
        before = {_name(entry): entry for entry in parse_record(changed.before, known)}
        after = {_name(entry): entry for entry in parse_record(changed.after, known)}
    except (Unreadable, KeyError):  # the merge leaves alone what cannot be read
        return
    person = _person(list(before.values()), list(after.values()), diffing)
    for name in sorted(before.keys() | after.keys()):
        if change := _change(before.get(name), after.get(name)):
            content = (after.get(name) or before[name]).content
            list_ = diffing.lists.name(name[0])
            yield list_, content.entry_id, content.case, content.court, change, person


def _name(entry: Entry) -> tuple[int, bytes]:
    return entry.list, entry.entry_hash


def _change(before: Entry | None, after: Entry | None) -> str:
    """What the summary counts an entry as, if as anything: as `kind_of_change` in rows.lua."""
    if before and after and (before.registers, before.content) == (after.registers, after.content):
        return ""
    was = before.registers.state if before else State.UNKNOWN
    now = after.registers.state if after else State.ABSENT
    if was in _LIVE or now in _LIVE:
        if was in _LIVE and now in _LIVE:
            return "changed"
        return "added" if now in _LIVE else "ended"
    if was is State.UNKNOWN:
        return "" if now is State.ABSENT else "added"
    return "" if was is now or after is None else "changed"


def _person(before: list[Entry], after: list[Entry], diffing: DiffContext) -> str:
    """What becomes of the person, with all their entries: free, newly denied, or as before."""
    if any(entry.list == BIND and entry.registers.state in _LIVE for entry in (*before, *after)):
        return BOUND
    was, now = (denied(entries, diffing.now_ms, diffing.lists) for entries in (before, after))
    return {(True, False): FREE, (False, True): DENIED}.get((was, now), "")
