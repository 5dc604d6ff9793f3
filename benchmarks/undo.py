"""A wrong file, and its undo: people whom it took off the list by mistake are put back.

    python -m benchmarks undo [--scale 0.1] [--entries 80000] [--json]

The nation's list at this scale is loaded, then the same list without so many of its entries, and
that load is undone: first dry, then for real. At the end `clearway verify` compares the roster
with the right list. Ends with status 1 where it differs, or a limit is missed.
"""

from __future__ import annotations

import gzip
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from benchmarks.measuring.report import Figure, Report, benchmark
from benchmarks.measuring.stage import AS_OF, LISTS, BenchmarkError, Stage, stage
from benchmarks.national import ENTRIES, PEOPLE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_WRONG_DAY = "2019-01-02"


def without(path: Path, entries: int) -> Path:
    """The list without that many of its last entries."""
    wrong = path.with_name("wrong.csv.gz")
    with gzip.open(path) as lines:
        kept = sum(1 for _ in lines) - entries
    with gzip.open(path) as lines, gzip.open(wrong, "wb", compresslevel=1) as out:
        out.writelines(islice(lines, kept))
    return wrong


def undone(place: Stage, path: Path, entries: int, limit_s: float) -> Iterator[Figure]:
    """What the wrong load and its undo took, and whether all is as it was."""
    wrong = place.load(without(path, entries), "--max-removals", str(entries), as_of=_WRONG_DAY)
    yield Figure("the wrong load", wrong.seconds, "s")
    number = str(place.run("loads", "--json").summary["loads"][0]["load"])
    dry = place.run("undo", number, "--dry-run", "--json")
    yield Figure("its undo, dry", dry.seconds, "s", at_most=limit_s)
    done = place.run("undo", number, "--json")
    yield Figure("its undo", done.seconds, "s", at_most=limit_s)
    put_back, ended = done.summary["put_back"], wrong.summary["ended"]
    yield Figure("entries that it put back", put_back, at_least=ended, at_most=ended)
    lists = [word for name in LISTS for word in ("--list", name)]
    try:
        place.run("verify", str(path), *lists, "--as-of", AS_OF, "--json")
        differs = 0
    except BenchmarkError:
        differs = 1
    yield Figure("differs from the right list", differs, at_most=0)


@benchmark(__doc__)
@click.option("--scale", default=0.1, show_default=True, help="Of the nation's list.")
@click.option("--entries", default=80_000, show_default=True, help="That the wrong list lacks.")
@click.option("--limit-s", default=30.0, show_default=True)
@click.option("--seed", default=1, show_default=True)
def main(*, scale: float, seed: int, **given: Any) -> Report:  # noqa: ANN401 -- click's
    """What was measured."""
    with stage() as place, place.server():
        path = place.generate(round(PEOPLE * scale), round(ENTRIES * scale), seed)
        first = place.load(path)
        told = [Figure("the right load", first.seconds, "s")]
        told += undone(place, path, **given)
    return Report(told)


if __name__ == "__main__":
    main()
