"""What a load comes to, for people and programs: figures, rejects, and what is still to do."""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
from rich.cells import cell_len

from loader.jobs.session import Session
from loader.rows.scatter import reject_rows
from loader.words import figures as words
from loader.words.sayings import SAYINGS
from roster.embedded.server_files import private_folder
from roster.errors import LoadRefused
from roster.speech.language import say
from roster.storage.rewinds import rewound
from roster.storage.snapshots import MergeCounts, Snapshot
from roster.times import format_ms

KEPT = 100
"""So many rejects files are kept where nobody says where they should lie."""
_FOLDER = "rejects"
_TOLD_MAX = 6
_WHAT = {
    "masked_number": "masked number{}",
    "missing_number": "missing number{}",
    "unknown_type": "unknown type{}",
    "missing_issuer": "missing issuer{}",
    "bad_date": "bad date{}",
    "bad_revision": "bad revision{}",
    "number_in_text": "ID number{}",
    "too_long": "overlong text{}",
}
_MALFORMED = {"": "row{} that cannot be read", "document_number": "bad number{}"}


class ToLoad(msgspec.Struct, frozen=True):
    """A list that is still to be loaded in full before the roster is believed again.

    The file has to have been cut after `as_of_after`; `why` this load has not done it.
    """

    as_of_after: str
    why: str


class StillRewound(msgspec.Struct, frozen=True):
    """Partitions in which nobody is denied after the load, and the lists that would end that."""

    partitions: int
    lists: dict[str, ToLoad]


class LoadSummary(msgspec.Struct, kw_only=True):
    """What a load did, or (dry run) would do; `peak_bytes` is of all its processes together.

    `notes` are sentences about its rejects, which are in `rejects_file`, and about processes of the
    service that were not waited for any longer. `same_as` is the load that
    has brought the same files before, where that was the last of these lists.

    Peak memory is the sum of each process' greatest resident set (getrusage(2)): what they
    share counts once for each.
    """

    dry_run: bool
    as_of: str
    rows: int = 0
    people: int = 0
    added: int = 0
    changed: int = 0
    ended: int = 0
    unchanged: int = 0
    superseded: int = 0
    rejected: dict[str, int] = {}
    warnings: dict[str, int] = {}
    skipped: dict[str, int] = {}
    notes: list[str] = []
    rejects_file: str | None = None
    records_written: int = 0
    seconds: float = 0.0
    entries_per_s: int = 0
    peak_bytes: int = 0
    lists: dict[str, dict[str, int]] = {}
    seconds_by_phase: dict[str, float] = {}
    same_as: int | None = None
    rewound: StillRewound | None = None


def by_list(fates: Mapping[str, MergeCounts]) -> dict[str, dict[str, int]]:
    """The figures of each list, by name."""
    return {name: fate._asdict() for name, fate in sorted(fates.items())}


def total(fates: Mapping[str, MergeCounts]) -> MergeCounts:
    """All lists together."""
    everything = MergeCounts()
    for fate in fates.values():
        everything = everything.plus(fate)
    return everything


def summary_text(summary: LoadSummary) -> str:
    """The figures for a person who reads them on a terminal."""
    if summary.same_as is not None:
        return say(words.SAME, load=summary.same_as, at=summary.as_of)
    whole = ("rows", "people", "added", "changed", "ended", "unchanged", "superseded")
    lines = [
        say(words.WOULD_LOAD if summary.dry_run else words.LOADED, at=summary.as_of),
        *(figure(name, f"{getattr(summary, name):>12,}") for name in whole),
    ]
    for name in ("rejected", "warnings", "skipped"):
        counts: dict[str, int] = getattr(summary, name)
        lines.append(figure(name, f"{sum(counts.values()):>12,}{_reasons(counts)}"))
    lines += [f"  {SAYINGS.spoken(note)}" for note in summary.notes]
    if summary.rejects_file:
        lines.append(say(words.REJECTS_IN, path=summary.rejects_file))
    lines += [
        figure("seconds", f"{summary.seconds:>12.1f}"),
        figure("entries/s", f"{summary.entries_per_s:>12,}"),
        figure("peak memory", f"{summary.peak_bytes / (1 << 20):>8,.0f} MiB"),
    ]
    if len(summary.lists) > 1 or summary.dry_run:
        lines += [list_figures(name, fates) for name, fates in summary.lists.items()]
    return "\n".join([*lines, *_rewound_lines(summary.rewound)])


def figure(name: str, amount: str, *, wide: int = 11) -> str:
    """A line of a result: what is counted, and how many, under each other."""
    called = say(words.FIGURES[name])
    return f"{called}{' ' * (wide - cell_len(called))} {amount}"


def list_figures(name: str, fates: Mapping[str, int]) -> str:
    """A line of what became of a list's entries."""
    counted = (
        say(words.COUNTED, count=count, what=say(words.FIGURES[what]))
        for what, count in fates.items()
        if count
    )
    return say(words.OF_LIST, name=name, counted=", ".join(counted))


def _rewound_lines(found: StillRewound | None) -> list[str]:
    if found is None:
        return []
    lists = (
        say(words.REWOUND_LIST, name=name, why=SAYINGS.spoken(each.why), at=each.as_of_after)
        for name, each in sorted(found.lists.items())
    )
    return [say(words.REWOUND, count=found.partitions), *lists, say(words.REWOUND_END)]


def _reasons(counts: Mapping[str, int]) -> str:
    counted = ", ".join(f"{reason} {count:,}" for reason, count in sorted(counts.items()))
    return say(words.REASONS, counted=counted) if counted else ""


class Rejects(msgspec.Struct, frozen=True):
    """The rejects of one load: how many of how many rows, why, and where that is written."""

    count: int = 0
    why: str = ""
    path: Path | None = None

    def sentence(self, rows: int) -> str:
        """A sentence about them, or nothing."""
        return f"{self.count:,} of {rows:,} rows rejected: {self.why}" if self.count else ""


@contextmanager
def explained(rejects: Rejects, rows: int, hints: Iterable[str]) -> Iterator[None]:
    """What refuses the file inside says what was wrong with its rows, too, and where that is."""
    try:
        yield
    except LoadRefused as exc:
        if not rejects.count:
            raise
        sentences = [rejects.sentence(rows), str(exc), *hints, f"the rejects are in {rejects.path}"]
        raise LoadRefused("; ".join(sentences)) from exc


def write_rejects(folder: Path, path: Path | None, data_dir: Path, now_ms: int) -> Rejects:
    """What was rejected; it is written to `path`, or to the data folder. Raises LoadRefused.

    Without rejects there is a file only where somebody has asked for one.
    """
    rows = list(reject_rows(folder))
    if not rows and path is None:
        return Rejects()
    try:
        if path is None:
            path = _own_path(data_dir, now_ms)
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("file", "line", "field", "reason"))
            writer.writerows(rows)
    except OSError as exc:
        raise LoadRefused(f"the rejects file cannot be written: {exc.strerror}") from exc
    return Rejects(len(rows), _why(rows), path)


def _own_path(data_dir: Path, now_ms: int) -> Path:
    """A new file in the data folder, for us alone; the oldest of those there are gone."""
    folder = private_folder(private_folder(data_dir) / _FOLDER)
    old = sorted(folder.glob("*.csv"))[: -(KEPT - 1)]
    for path in old:
        with suppress(OSError):
            path.unlink()
    stamp = format_ms(now_ms).replace(":", "").replace(".", "-")
    path = folder / f"{stamp}-{os.getpid()}.csv"
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600))
    return path


def _why(rows: Iterable[list[str]]) -> str:
    """The reasons, the most frequent first, each with the place of its first row."""
    counts, first = Counter[tuple[str, str]](), dict[tuple[str, str], tuple[str, str]]()
    files = set()
    for file, line, field, reason in rows:
        counts[field, reason] += 1
        first.setdefault((field, reason), (file, line))
        files.add(file)

    def place(file: str, line: str) -> str:
        return f"{Path(file).name} line {line}" if len(files) > 1 else f"line {line}"

    faults = [
        f"{_what(count, *about)} (first in {place(*first[about])})"
        for about, count in counts.most_common(_TOLD_MAX)
    ]
    others = counts.total() - sum(count for _, count in counts.most_common(_TOLD_MAX))
    return ", ".join([*faults, *([f"{others:,} others"] if others else [])])


def _what(count: int, field: str, reason: str) -> str:
    what = _WHAT.get(reason, f"{reason}{{}}")
    if reason == "malformed":
        what = _MALFORMED.get(field, "bad value{}")
    counted = f"{count:,} {what.format('' if count == 1 else 's')}"
    return f"{counted} in column {field}" if field else counted


def still_rewound(session: Session, snapshot: Snapshot) -> StillRewound | None:
    """The partitions that this load has left rewound; None where nothing is."""
    found = rewound(session.run(session.store.metas()))
    if found is None:
        return None
    lists = {
        session.lists.name(code): ToLoad(format_ms(at), _why_not(snapshot, code, at))
        for code, at in found.until.items()
    }
    return StillRewound(found.partitions, lists)


def _why_not(snapshot: Snapshot, code: int, lost_ms: int) -> str:
    if not snapshot.lists:
        return "a partial file does not speak for the list"
    if code not in snapshot.lists:
        return "this load was not of that list"
    if snapshot.as_of <= lost_ms:
        return f"this file is older, as of {format_ms(snapshot.as_of)}"
    return "this load began before the loss was found, or changed nothing yet"
