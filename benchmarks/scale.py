"""What an entry costs a first load, from a million entries to sixteen: a table and a plot.

    python -m benchmarks scale [--sizes 1,2,4,8,16] [--out benchmarks/results] [--json]

Sizes are millions of entries. Each list is generated and loaded into an embedded server of
its own, which is empty. `scale.md` and `scale.svg` are written to the folder that `--out`
names. Ends with status 1 where the last entry costs more than `--growth` times the first.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from benchmarks.national import MIB, used_memory
from benchmarks.plot import Series, plot
from benchmarks.report import Figure, finish, machine
from benchmarks.stage import BenchmarkError, stage

if TYPE_CHECKING:
    from collections.abc import Sequence

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


def markdown(loads: Sequence[Load]) -> str:
    """The loads as a table, with the machine and the day."""
    rows = [
        f"| {each.entries:,} | {each.people:,} | {each.file_mib:,.0f} | {each.seconds:.1f} | "
        f"{each.us_an_entry:.2f} | {each.valkey_mib:,.0f} | {each.bytes_a_person:.0f} | "
        f"{each.loader_mib:,.0f} |"
        for each in loads
    ]
    sizes = ",".join(f"{each.entries / MILLION:g}" for each in loads)
    return "\n".join(
        [
            "# First loads by size",
            "",
            (
                f"`python -m benchmarks scale --sizes {sizes}`, {datetime.now(UTC):%Y-%m-%d}, "
                f"{machine()}."
            ),
            "",
            (
                "| entries | people | file, MiB | seconds | us an entry | Valkey, MiB | "
                "bytes a person | loader, MiB |"
            ),
            "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
            *rows,
            "",
            "![us an entry, and bytes of Valkey a person, by entries](scale.svg)",
            "",
        ]
    )


def drawing(loads: Sequence[Load]) -> str:
    """The same as a plot."""
    sizes = [each.entries / MILLION for each in loads]
    return plot(
        "First loads: what an entry and a person cost",
        "million entries",
        [
            Series("us an entry", sizes, [each.us_an_entry for each in loads]),
            Series("bytes of Valkey a person", sizes, [each.bytes_a_person for each in loads]),
        ],
    )


def sizes_of(text: str) -> list[int]:
    """Numbers of entries, from millions with commas between them."""
    try:
        sizes = [round(float(part) * MILLION) for part in text.split(",")]
    except ValueError:
        raise click.BadParameter("millions of entries, such as 1,2,4") from None
    if min(sizes) < 1:
        raise click.BadParameter("at least one entry each")
    return sizes


@click.command(help=__doc__)
@click.option("--sizes", default="1,2,4,8,16", show_default=True, help="Millions of entries.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path),
              default=Path("benchmarks/results"), show_default=True)  # fmt: skip
@click.option("--seed", default=1, show_default=True)
@click.option("--growth", default=1.5, show_default=True, help="Cost of an entry, last to first.")
@click.option("--json", "as_json", is_flag=True)
def main(*, sizes: str, out: Path, seed: int, growth: float, as_json: bool) -> None:
    """Measure, write, print."""
    try:
        loads = [load(size, seed) for size in sizes_of(sizes)]
    except BenchmarkError as exc:
        raise click.ClickException(str(exc)) from exc
    out.mkdir(parents=True, exist_ok=True)
    (out / "scale.md").write_text(markdown(loads), encoding="utf-8")
    (out / "scale.svg").write_text(drawing(loads), encoding="utf-8")
    ratio = loads[-1].us_an_entry / loads[0].us_an_entry
    figures = [
        *(Figure(f"{each.entries:,} entries: an entry", each.us_an_entry, "us") for each in loads),
        Figure("an entry, last to first", ratio, at_most=growth),
    ]
    finish(figures, as_json=as_json, loads=loads)


if __name__ == "__main__":
    main()
