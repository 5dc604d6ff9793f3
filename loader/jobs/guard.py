"""What stops a bad file: each check raises LoadRefused with the reason and the numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from loader.rows.scatter import ENDINGS_MAX, ENTRIES_MAX, ScatterResult
from roster.documents.spelling import trimmed
from roster.errors import LoadRefused, WrongUsage
from roster.rules.restrictions import Lists
from roster.storage.snapshots import MergeCounts
from roster.times import format_ms

NOT_FROM_FILES = frozenset({"bind", "canary"})
"""Lists of Clearway's own that only changes edit."""
LEAST = 100
_LIMIT = re.compile(r"([0-9]+(?:\.[0-9]+)?)%|([0-9]+)")


class Limit(msgspec.Struct, frozen=True):
    """`1%` of something, but at least 100 and never more than half; or a number, as it stands."""

    text: str
    number: int | None
    percent: float = 0.0

    def of(self, total: int) -> int:
        """How many are at most allowed of so many."""
        if self.number is not None:
            return self.number
        least = min(LEAST, total // 2) if self.percent else 0
        return max(least, int(total * self.percent / 100))


def parse_limit(text: str) -> Limit:
    """The limit of its text; raises ValueError."""
    matched = _LIMIT.fullmatch(text.strip())
    if matched is None:
        raise ValueError("a limit is a percentage such as 1%, or a number")
    percent, number = matched.groups()
    return Limit(text, int(number) if number else None, float(percent or 0))


class Limits(msgspec.Struct, frozen=True):
    """How much a file may change, and how much of it may be unusable."""

    removals: Limit = Limit("1%", None, 1.0)
    additions: Limit = Limit("5%", None, 5.0)
    rejects: Limit = Limit("1%", None, 1.0)
    warnings: Limit = Limit("1%", None, 1.0)


def check_names(names: Iterable[str], lists: Lists) -> None:
    """These lists can be loaded from files."""
    unknown = [name for name in names if lists.by_id(name) is None]
    if unknown:
        raise LoadRefused(f"not in lists.toml: {', '.join(unknown)}")
    own = sorted(NOT_FROM_FILES.intersection(names))
    if own:
        raise LoadRefused(f"not loaded from files, only changed over HTTP: {', '.join(own)}")


def check_options(names: Iterable[str], lists: Lists) -> None:
    """What `--list` names are lists that there are; raises WrongUsage."""
    if unknown := [name for name in names if lists.by_id(trimmed(name)) is None]:
        raise WrongUsage(f"not in lists.toml: {', '.join(unknown)}")


def check_named(found: ScatterResult, lists: Sequence[str]) -> None:
    """Somebody says which lists a full snapshot is of; raises WrongUsage with those it has."""
    if lists:
        return
    seen = [name for name in found.names if name]
    seen_lists = f"this file has rows of {', '.join(seen)}" if seen else "this file has no rows"
    raise WrongUsage(
        f"say with --list, or in a manifest, which lists a full snapshot is of: {seen_lists} "
        "(what a list of them lacks, ends; --partial ends nothing)"
    )


def check_lists(found: ScatterResult, lists: Sequence[str]) -> None:
    """The rows are of lists that are known, and of those that the load is for."""
    if found.unknown:
        listed = ", ".join(f"{name} ({rows} rows)" for name, rows in sorted(found.unknown.items()))
        raise LoadRefused(f"rows of lists that are not in lists.toml: {listed}")
    others = [name for name in found.names if name and name not in lists]
    if others:
        listed = ", ".join(f"{name} ({found.rows_of(name)} rows)" for name in others)
        raise LoadRefused(f"rows of lists that this load is not for: {listed}")


def check_not_empty(found: ScatterResult, lists: Sequence[str], *, allowed: bool) -> None:
    """Every list has rows, or may be empty."""
    empty = [name for name in lists if not found.lists[name]]
    if empty and not allowed:
        rejected = found.rejected.total()
        raise LoadRefused(
            f"no row of {', '.join(empty)} can be loaded ({found.rows.total()} rows in all, "
            f"{rejected} of them rejected); --allow-empty loads an empty list"
        )


def check_rows(found: ScatterResult, limits: Limits) -> None:
    """Not too many rows of a list are unusable, or doubtful."""
    for counts, limit, option, what, reasons in (
        (found.rejected_of, limits.rejects, "--max-rejects", "are rejected", found.rejected),
        (found.warned_of, limits.warnings, "--max-warnings", "are warned of", found.warned),
    ):
        for name, count in sorted(counts.items()):
            rows = found.rows_of(name)
            if count > (most := limit.of(rows)):
                listed = ", ".join(f"{reason} {many}" for reason, many in reasons.most_common())
                raise LoadRefused(
                    f"{name or 'no list'}: {count} of {rows} rows {what}, more than {option} "
                    f"{limit.text} ({most}): {listed}"
                )


def check_alike(found: ScatterResult, folder: Path, lists: Lists) -> None:
    """No number is in very many entries, and ID numbers do not end alike: raises LoadRefused."""
    for code, most, total in found.alike.too_many_alike():
        raise LoadRefused(
            f"{lists.name(code)}: {most} of {total} ID numbers have the same last three digits, "
            f"more than {ENDINGS_MAX:.0%}: did a spreadsheet round them?"
        )
    if (most := found.alike.most_entries(folder)) > ENTRIES_MAX:
        raise LoadRefused(
            f"one number stands in {most} entries, more than {ENTRIES_MAX}: "
            "is it a placeholder, or a damaged column?"
        )


def check_as_of(as_of: int, now_ms: int, begun: Mapping[str, int]) -> None:
    """The file is neither from the future nor older than the last load begun of its lists."""
    if as_of > now_ms:
        raise LoadRefused(f"as_of {format_ms(as_of)} lies in the future (now {format_ms(now_ms)})")
    newer = {name: begun_ms for name, begun_ms in begun.items() if begun_ms > as_of}
    if newer:
        listed = ", ".join(f"{name} {format_ms(ms)}" for name, ms in newer.items())
        raise LoadRefused(f"as_of {format_ms(as_of)} is older than the last load begun: {listed}")


class ListBefore(msgspec.Struct, frozen=True):
    """A list before a load: entries that are on it, and whether it was ever loaded whole.

    `emptied` is that the file has no row of it, and that it may have none.
    """

    entries: int
    covered: bool
    emptied: bool = False


def check_changes(
    fates: Mapping[str, MergeCounts], standing: Mapping[str, ListBefore], limits: Limits
) -> None:
    """No list loses or gains more than its limits; the first load may add any number.

    Who allows that a list is empty allows that its last hundred entries end.
    """
    for name, fate in sorted(fates.items()):
        known = standing.get(name, ListBefore(0, covered=False))
        most = limits.removals.of(known.entries)
        if known.emptied and most:
            most = max(most, LEAST)
        if fate.ended > most:
            text = (
                f"{name}: {fate.ended} of {known.entries} entries would end, more than "
                f"--max-removals {limits.removals.text} ({most})"
            )
            advice = _advice(limits.removals, known.entries, f"--max-removals {fate.ended}")
            raise LoadRefused("; ".join((text, *advice)))
        most = limits.additions.of(known.entries)
        if known.covered and fate.added > most:
            text = (
                f"{name}: {fate.added} entries would be added to {known.entries}, more than "
                f"--max-additions {limits.additions.text} ({most})"
            )
            advice = _advice(limits.additions, known.entries, f"--max-additions {fate.added}")
            raise LoadRefused("; ".join((text, *advice)))


def _advice(limit: Limit, total: int, allowing: str) -> Iterator[str]:
    """Why a percentage stands for so many, where it is not its share, and what to do next."""
    if limit.percent and limit.of(total) != int(total * limit.percent / 100):
        yield f"a percentage is at least {LEAST}, but never more than half of the list"
    yield (
        "nothing was changed: see with --dry-run --diff OUT which entries they are; if that is "
        f"right, load it with {allowing}"
    )
