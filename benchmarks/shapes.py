"""Lists in every shape that sources write, loaded beside bare SADDs of the same numbers.

    python -m benchmarks shapes [--rows 100000] [--runs 3] [--shapes party,zxgk] [--json]

Each run loads a list of every shape into an empty embedded server, then the same file again and
the one of another day, of which 0.2 % of the rows are others; and the same document numbers with
`redis-cli --pipe` into another server. Ratios are taken within a run, figures are medians over
the runs. The CPU of reading is what one process takes from the file's bytes to packed rows.
The same file again is read for its SHA-256 alone: what it takes is beside that, and beside
`clearway loads`, a command that opens the same roster and does no more. Ends with status 1
where a limit is missed.
"""

from __future__ import annotations

import csv
import hashlib
import json
import secrets
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

import click

from benchmarks.measuring.report import Figure, Report, benchmark, taken
from benchmarks.measuring.stage import AS_OF, BenchmarkError, Stage, stage
from benchmarks.national import MIB, bare_add_seconds, used_memory
from benchmarks.questions.changed import write_other_day
from loader.files.sources import sheet_of
from loader.jobs.intake import Files, Intake
from loader.rows.packed_rows import Context
from loader.rows.scatter import Scatter
from loader.synthetic.world import FileShape
from roster.times import parse_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

SHAPES: tuple[FileShape, ...] = get_args(FileShape)
ENTRIES_A_PERSON = 1.784
_OTHER_DAY = "2019-01-02"
FORMS = {"zxgk": "jsonl", "jsonl": "jsonl", "parquet": "parquet"}
"""How a list is written, where it is not CSV."""
NAMES = (*SHAPES, "jsonl", "parquet")
"""The shapes, and what is the first of them in another form."""


class Listed(NamedTuple):
    """A list file and another day's, and how they have to be read."""

    path: Path
    lists: tuple[str, ...]
    format: str
    other_day: Path

    def options(self, as_of: str) -> list[str]:
        """What `clearway load` needs to be told beside the file."""
        words = [word for name in self.lists for word in ("--list", name)]
        return [*words, "--as-of", as_of, "--format", self.format, "--json"]


class Cost(NamedTuple):
    """What the loads of one run took, and what stood beside them.

    `bare_s` is None where there is no redis-cli; `open_s` is `clearway loads`.
    """

    load_s: float
    loader_mib: float
    bytes_a_person: float
    again_s: float
    open_s: float
    hash_s: float
    other_day_s: float
    bare_s: float | None


class Limits(NamedTuple):
    """What may not be exceeded; `again_s` is beside opening and hashing."""

    ratio: float
    spread: float
    other_day: float
    loader_mib: float
    bytes_a_person: float
    again_s: float


class Measured(NamedTuple):
    """A shape, the CPU of reading a row of it in microseconds, and what each run cost."""

    name: str
    read_us: float
    costs: list[Cost]

    def median(self, field: str) -> float:
        """Of one field of the costs."""
        return float(median(getattr(cost, field) for cost in self.costs))


def written(place: Stage, name: str, rows: int, seed: int) -> Listed:
    """A list of that shape."""
    shape = name if name in SHAPES else SHAPES[0]
    path = place.folder / f"{name}.{'jsonl' if FORMS.get(name) == 'jsonl' else 'csv'}"
    size = ("--people", str(round(rows / ENTRIES_A_PERSON)), "--entries", str(rows))
    more = ("--seed", str(seed), "--shape", shape, "--json")
    made = place.run("generate", *size, "--out", str(path), *more).summary
    other = path.with_stem(f"{name}-other-day")
    write_other_day(path, other, seed)
    if FORMS.get(name) == "parquet":
        path, other = as_parquet(path), as_parquet(other)
    return Listed(path, tuple(made["lists"]), "zxgk" if shape == "zxgk" else "auto", other)


def as_parquet(path: Path) -> Path:
    """The same list as Parquet, whose columns are texts."""
    import pyarrow as pa  # noqa: PLC0415 -- an extra
    from pyarrow import csv as read  # noqa: PLC0415 -- an extra
    from pyarrow import parquet  # noqa: PLC0415 -- an extra

    with path.open(encoding="utf-8") as file:
        names = file.readline().strip().split(",")
    types = read.ConvertOptions(column_types=dict.fromkeys(names, pa.string()))
    parquet.write_table(read.read_csv(path, convert_options=types), path.with_suffix(".parquet"))
    return path.with_suffix(".parquet")


def numbers(listed: Listed) -> Iterator[bytes]:
    """The document numbers of a list, as they stand there."""
    path = listed.path.with_suffix(".csv") if listed.path.suffix == ".parquet" else listed.path
    column = "cardNum" if listed.format == "zxgk" else "document_number"
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file) if path.suffix == ".csv" else map(json.loads, file)
        for row in rows:
            yield row[column].encode()


def reading_us(listed: Listed, rows: int) -> float:
    """The CPU of a row from the file to packed rows on disk, in this process, in microseconds."""
    codes = {name: index + 1 for index, name in enumerate(listed.lists)}
    now_ms = time.time_ns() // 1_000_000
    context = Context(secrets.token_bytes(32), codes, parse_time(AS_OF), 1, now_ms, {})
    files = Files((str(listed.path),), listed.lists, context.as_of, listed.format)  # type: ignore[arg-type]
    with tempfile.TemporaryDirectory() as folder:
        scatter = Scatter(context, Path(folder), 0)
        started = time.process_time()
        pieces = Intake(files, None).pieces(lambda _: None)
        read = sum(scatter.read(each, sheet_of(each.block, each.layout)) for each in pieces)
        seconds = time.process_time() - started
        scatter.close()
    if read != rows:
        raise BenchmarkError(f"{read} rows of {rows} were read")
    return seconds / rows * 1e6


def hash_s(path: Path) -> float:
    """The seconds that a file's SHA-256 takes."""
    started = time.monotonic()
    with path.open("rb") as file:
        hashlib.file_digest(file, "sha256")
    return time.monotonic() - started


def cost(listed: Listed, people: int) -> Cost:
    """The loads, on a server of its own, and the SADDs of the numbers on another one."""
    path, today = str(listed.path), listed.options(AS_OF)
    with stage() as place, place.server():
        empty = used_memory(place)
        first = place.run("load", path, *today)
        used = used_memory(place) - empty
        again = place.run("load", path, *today)
        opened = place.run("loads", "--json")
        other = place.run("load", str(listed.other_day), *listed.options(_OTHER_DAY))
    return Cost(
        load_s=first.seconds,
        loader_mib=first.peak_bytes / MIB,
        bytes_a_person=used / people,
        again_s=again.seconds,
        open_s=opened.seconds,
        hash_s=hash_s(listed.path),
        other_day_s=other.seconds,
        bare_s=bare_add_seconds(numbers(listed)),
    )


def measure(names: Sequence[str], rows: int, runs: int, seed: int) -> Iterator[Measured]:
    """Each of the shapes."""
    people = round(rows / ENTRIES_A_PERSON)
    with stage() as place:
        lists = {name: written(place, name, rows, seed) for name in names}
        costs: dict[str, list[Cost]] = {name: [] for name in names}
        for _ in range(runs):
            for name in names:
                costs[name].append(cost(lists[name], people))
        for name in names:
            read_us = median(reading_us(lists[name], rows) for _ in range(runs))
            yield Measured(name, read_us, costs[name])


def figures(one: Measured, limits: Limits) -> Iterator[Figure]:
    """Those of one shape."""
    name, costs = one.name, one.costs
    yield Figure(f"{name}: CPU of reading a row", one.read_us, "us")
    yield Figure(f"{name}: first load", one.median("load_s"), "s")
    bare = [(each.bare_s, each.load_s / each.bare_s) for each in costs if each.bare_s]
    if bare:
        yield Figure(f"{name}: redis-cli --pipe of bare SADDs", median(s for s, _ in bare), "s")
        ratio = median(m for _, m in bare)
        yield Figure(f"{name}: as a multiple of that", ratio, at_most=limits.ratio)
    other = median(each.other_day_s / each.load_s for each in costs)
    yield Figure(f"{name}: with 0.2 % changed, of the first load", other, at_most=limits.other_day)
    beside = median(each.again_s - each.open_s - each.hash_s for each in costs)
    hashed = one.median("hash_s")
    yield Figure(f"{name}: the same file again", one.median("again_s"), "s")
    yield Figure(f"{name}: its SHA-256", hashed, "s")
    yield Figure(f"{name}: beside that and opening", beside, "s", at_most=limits.again_s)
    memory, people = one.median("loader_mib"), one.median("bytes_a_person")
    yield Figure(f"{name}: loader's memory", memory, "MiB", at_most=limits.loader_mib)
    yield Figure(
        f"{name}: Valkey's memory a person", people, "bytes", at_most=limits.bytes_a_person
    )


def slowest(found: Iterable[Measured], spread: float) -> Figure:
    """What the slowest shape takes, as a multiple of the fastest."""
    times = [one.median("load_s") for one in found]
    return Figure("slowest shape over fastest", max(times) / min(times), at_most=spread)


def names_of(text: str) -> list[str]:
    """Shapes, with commas between them."""
    names = text.split(",")
    if not set(NAMES).issuperset(names):
        raise click.BadParameter(f"some of {', '.join(NAMES)}")
    return names


@benchmark(__doc__)
@click.option("--rows", default=100_000, show_default=True, help="Of each list.")
@click.option("--runs", default=3, show_default=True)
@click.option("--shapes", default=",".join(NAMES), show_default=True)
@click.option("--seed", default=1, show_default=True)
@click.option("--ratio", default=5.0, show_default=True, help="A load to the SADDs, at most.")
@click.option("--spread", default=1.5, show_default=True, help="Slowest to fastest, at most.")
@click.option("--other-day", default=0.8, show_default=True, help="To the first load, at most.")
@click.option("--loader-mib", default=600.0, show_default=True)
@click.option("--bytes-a-person", default=160.0, show_default=True)
@click.option("--again-s", default=0.5, show_default=True, help="Beside opening and hashing.")
def main(*, shapes: str, **given: Any) -> Report:  # noqa: ANN401 -- click's
    """What was measured."""
    limits = taken(Limits, given)
    found = list(measure(names_of(shapes), **given))
    told = [each for one in found for each in figures(one, limits)]
    return Report([*told, slowest(found, limits.spread)])


if __name__ == "__main__":
    main()
