"""What stops a bad file: each check raises LoadRefused with the reason and the numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from loader.scatter import Scattered
from roster.errors import LoadRefused
from roster.merging import Fate
from roster.restrictions import Lists
from roster.times import format_ms

NOT_FROM_FILES = frozenset({"bind", "canary"})
"""Lists of Clearway's own that only changes edit."""
LEAST = 100
_LIMIT = re.compile(r"([0-9]+(?:\.[0-9]+)?)%|([0-9]+)")


class Limit(msgspec.Struct, frozen=True):
    """`1%`, of something, but at least 100; or a number, as it stands."""

    text: str
    number: int | None
    percent: float = 0.0

    def of(self, total: int) -> int:
        """How many are at most allowed of so many."""
        return max(LEAST, int(total * self.percent / 100)) if self.number is None else self.number


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


def check_names(names: Iterable[str], lists: Lists) -> None:
    """These lists can be loaded from files."""
    unknown = [name for name in names if lists.by_id(name) is None]
    if unknown:
        raise LoadRefused(f"not in lists.toml: {', '.join(unknown)}")
    own = sorted(NOT_FROM_FILES.intersection(names))
    if own:
        raise LoadRefused(f"not loaded from files, only changed over HTTP: {', '.join(own)}")


def check_lists(found: Scattered, lists: Sequence[str]) -> None:
    """The rows are of lists that are known, and of those that the load is for."""
    if found.unknown:
        told = ", ".join(f"{name} ({rows} rows)" for name, rows in sorted(found.unknown.items()))
        raise LoadRefused(f"rows of lists that are not in lists.toml: {told}")
    others = sorted(set(found.lists) - set(lists))
    if others:
        told = ", ".join(f"{name} ({found.lists[name]} rows)" for name in others)
        raise LoadRefused(f"rows of lists that this load is not for: {told}")


def check_not_empty(found: Scattered, lists: Sequence[str], *, allowed: bool) -> None:
    """Every list has rows, or may be empty."""
    if not lists:
        raise LoadRefused("the file has no rows: name the lists that are empty with --list")
    empty = [name for name in lists if not found.lists[name]]
    if empty and not allowed:
        rejected = found.rejected.total()
        raise LoadRefused(
            f"no row of {', '.join(empty)} can be loaded ({found.rows.total()} rows in all, "
            f"{rejected} of them rejected); --allow-empty loads an empty list"
        )


def check_rejects(found: Scattered, limit: Limit) -> None:
    """Not too many rows are unusable."""
    rejected, rows = found.rejected.total(), found.rows.total()
    if rejected > limit.of(rows):
        reasons = ", ".join(f"{reason} {count}" for reason, count in found.rejected.most_common())
        raise LoadRefused(
            f"{rejected} of {rows} rows are rejected, more than --max-rejects {limit.text} "
            f"({limit.of(rows)}): {reasons}"
        )


def check_as_of(as_of: int, now_ms: int, begun: Mapping[str, int]) -> None:
    """The file is neither from the future nor older than the last load begun of its lists."""
    if as_of > now_ms:
        raise LoadRefused(f"as_of {format_ms(as_of)} lies in the future (now {format_ms(now_ms)})")
    newer = {name: begun_ms for name, begun_ms in begun.items() if begun_ms > as_of}
    if newer:
        told = ", ".join(f"{name} {format_ms(ms)}" for name, ms in newer.items())
        raise LoadRefused(f"as_of {format_ms(as_of)} is older than the last load begun: {told}")


class Standing(msgspec.Struct, frozen=True):
    """A list before a load: entries that are on it, and whether it was ever loaded whole."""

    entries: int
    covered: bool


def check_changes(
    fates: Mapping[str, Fate], standing: Mapping[str, Standing], limits: Limits
) -> None:
    """No list loses or gains more than its limits; the first load may add any number."""
    for name, fate in sorted(fates.items()):
        known = standing.get(name, Standing(0, covered=False))
        if fate.ended > (most := limits.removals.of(known.entries)):
            raise LoadRefused(
                f"{name}: {fate.ended} of {known.entries} entries would end, more than "
                f"--max-removals {limits.removals.text} ({most})"
            )
        most = limits.additions.of(known.entries)
        if known.covered and fate.added > most:
            raise LoadRefused(
                f"{name}: {fate.added} entries would be added to {known.entries}, more than "
                f"--max-additions {limits.additions.text} ({most})"
            )
