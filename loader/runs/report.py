"""What a load or a comparison comes to: figures for people and for programs."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from roster.storage.snapshots import MergeCounts


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


class Summary(msgspec.Struct, kw_only=True):
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


def summary_text(summary: Summary) -> str:
    """The figures for a person who reads them on a terminal."""
    if summary.same_as is not None:
        return (
            f"nothing to do: load {summary.same_as} brought the same, as of {summary.as_of}, "
            "and was the last of these lists; --again loads it once more"
        )
    lines = [
        f"{'would load' if summary.dry_run else 'loaded'} as of {summary.as_of}",
        f"rows        {summary.rows:>12,}",
        f"people      {summary.people:>12,}",
        *(
            f"{name:<11} {getattr(summary, name):>12,}"
            for name in ("added", "changed", "ended", "unchanged", "superseded")
        ),
    ]
    for name in ("rejected", "warnings", "skipped"):
        counts: dict[str, int] = getattr(summary, name)
        lines.append(f"{name:<11} {sum(counts.values()):>12,}{_reasons(counts)}")
    lines += [f"  {note}" for note in summary.notes]
    lines += [f"rejects in {summary.rejects_file}"] if summary.rejects_file else []
    lines += [
        f"seconds     {summary.seconds:>12.1f}",
        f"entries/s   {summary.entries_per_s:>12,}",
        f"peak memory {summary.peak_bytes / (1 << 20):>8,.0f} MiB",
    ]
    if len(summary.lists) > 1 or summary.dry_run:
        lines += [_list_line(name, fates) for name, fates in summary.lists.items()]
    return "\n".join([*lines, *_rewound_lines(summary.rewound)])


def _rewound_lines(found: StillRewound | None) -> list[str]:
    if found is None:
        return []
    told = (
        f"  {name}: {each.why}; a full file as of after {each.as_of_after} is to be loaded"
        for name, each in sorted(found.lists.items())
    )
    return [
        f"still rewound: {found.partitions} partitions, where nobody is denied until then",
        *told,
        "  or look at what is stored and `clearway accept`",
    ]


def _reasons(counts: Mapping[str, int]) -> str:
    told = ", ".join(f"{reason} {count:,}" for reason, count in sorted(counts.items()))
    return f"  ({told})" if told else ""


def _list_line(name: str, fates: Mapping[str, int]) -> str:
    return f"{name}: " + ", ".join(f"{count:,} {what}" for what, count in fates.items() if count)
