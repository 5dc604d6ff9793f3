"""What an entry costs a first load, from a million entries to sixteen: a table and a plot.

    python -m benchmarks scale [--sizes 1,2,4,8,16] [--write] [--json]

Sizes are millions of entries. Each list is generated and loaded into an embedded server of
its own, which is empty. Ends with status 1 where the last entry costs more than `--growth` times
the first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec

from benchmarks.measuring.plot import Panel
from benchmarks.measuring.report import Figure, Report, benchmark
from benchmarks.measuring.stage import stage
from benchmarks.national import MIB, used_memory

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ENTRIES_A_PERSON = 1.784
MILLION = 1_000_000


class Load(msgspec.Struct, frozen=True):
    """One first load, and what it cost; `file_mib` is the list as it lies there, gzipped."""

    entries: int
    people: int
    file_mib: float
    seconds: float
    us_an_entry: float
    bytes_a_person: float
    loader_mib: float
    valkey_mib: float


def load(entries: int, seed: int) -> Load:
    """A list of so many entries, generated and loaded."""
    people = round(entries / ENTRIES_A_PERSON)
    with stage() as place:
        path = place.generate(people, entries, seed)
        with place.server():
            empty = used_memory(place)
            ran = place.load(path)
            used = used_memory(place) - empty
        return Load(
            entries=entries,
            people=people,
            file_mib=path.stat().st_size / MIB,
            seconds=ran.seconds,
            us_an_entry=ran.seconds / entries * 1e6,
            bytes_a_person=used / people,
            loader_mib=ran.peak_bytes / MIB,
            valkey_mib=used / MIB,
        )


def row(load: Load) -> Mapping[str, float]:
    """A load as a row of a table."""
    return {
        "entries": load.entries,
        "people": load.people,
        "file, MiB": load.file_mib,
        "seconds": load.seconds,
        "us an entry": load.us_an_entry,
        "Valkey, MiB": load.valkey_mib,
        "bytes a person": load.bytes_a_person,
        "loader, MiB": load.loader_mib,
    }


def panels(loads: Sequence[Load]) -> list[Panel]:
    """What an entry and a person cost, over the sizes."""
    return [
        Panel(name, "million entries", {name: points}, "log")
        for name, points in {
            "us an entry": [(each.entries / MILLION, each.us_an_entry) for each in loads],
            "bytes of Valkey a person": [
                (each.entries / MILLION, each.bytes_a_person) for each in loads
            ],
        }.items()
    ]


def sizes_of(text: str) -> list[int]:
    """Numbers of entries, from millions with commas between them."""
    try:
        sizes = [round(float(part) * MILLION) for part in text.split(",")]
    except ValueError:
        raise click.BadParameter("millions of entries, such as 1,2,4") from None
    if min(sizes) < 1:
        raise click.BadParameter("at least one entry each")
    return sizes


@benchmark(__doc__)
@click.option("--sizes", default="1,2,4,8,16", show_default=True, help="Millions of entries.")
@click.option("--seed", default=1, show_default=True)
@click.option("--growth", default=1.5, show_default=True, help="Cost of an entry, last to first.")
def main(*, sizes: str, seed: int, growth: float) -> Report:
    """What was measured."""
    loads = [load(size, seed) for size in sizes_of(sizes)]
    ratio = loads[-1].us_an_entry / loads[0].us_an_entry
    figures = [
        *(Figure(f"{each.entries:,} entries: an entry", each.us_an_entry, "us") for each in loads),
        Figure("an entry, last to first", ratio, at_most=growth),
    ]
    return Report(figures, list(map(row, loads)), panels(loads), {"loads": loads})


if __name__ == "__main__":
    main()
