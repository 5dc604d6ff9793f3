"""First loads of lists in every shape that sources write, beside bare SADDs of the same numbers.

    python -m benchmarks shapes [--rows 100000] [--runs 3] [--shapes party,zxgk] [--json]

Each run loads a list of every shape into an empty embedded server, and the same document
numbers with `redis-cli --pipe` into another one; ratios are taken within a run, figures are
medians over the runs. The CPU of reading is what one process takes from the file's bytes to
packed rows. Ends with status 1 where a shape costs more than `--ratio` times the SADDs, or
the slowest more than `--spread` times what the fastest costs.
"""

from __future__ import annotations

import csv
import json
import secrets
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

import click

from benchmarks.national import bare_add_seconds
from benchmarks.report import Figure, finish
from benchmarks.stage import AS_OF, BenchmarkError, Stage, stage
from loader.intake import Files, Intake
from loader.packing import Context
from loader.scatter import Scatter
from loader.world import Shape
from roster.times import parse_from

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

SHAPES: tuple[Shape, ...] = get_args(Shape)
ENTRIES_A_PERSON = 1.784
FORMS = {"zxgk": "jsonl", "jsonl": "jsonl", "parquet": "parquet"}
"""How a list is written, where it is not CSV."""
NAMES = (*SHAPES, "jsonl", "parquet")
"""The shapes, and what is the first of them in another form."""


class Listed(NamedTuple):
    """A list file, and how it has to be read."""

    path: Path
    lists: tuple[str, ...]
    format: str


class Cost(NamedTuple):
    """What one first load took, and what stood beside it; None where there is no redis-cli."""

    load_s: float
    bare_s: float | None


Measured = tuple[str, float, list[Cost]]
"""A shape, the CPU of reading a row of it in microseconds, and what each run cost."""


def written(place: Stage, name: str, rows: int, seed: int) -> Listed:
    """A list of that shape."""
    shape = name if name in SHAPES else SHAPES[0]
    path = place.folder / f"{name}.{'jsonl' if FORMS.get(name) == 'jsonl' else 'csv'}"
    size = ("--people", str(round(rows / ENTRIES_A_PERSON)), "--entries", str(rows))
    more = ("--seed", str(seed), "--shape", shape, "--json")
    made = place.run("generate", *size, "--out", str(path), *more).summary
    if FORMS.get(name) == "parquet":
        path = as_parquet(path)
    return Listed(path, tuple(made["lists"]), "zxgk" if shape == "zxgk" else "auto")


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
    context = Context(secrets.token_bytes(32), codes, parse_from(AS_OF), 1, now_ms, {})
    files = Files((str(listed.path),), listed.lists, context.as_of, listed.format)  # type: ignore[arg-type]
    with tempfile.TemporaryDirectory() as folder:
        scatter = Scatter(context, Path(folder), 0)
        started = time.process_time()
        read = sum(scatter.read(piece) for piece in Intake(files, None).pieces(lambda _: None))
        seconds = time.process_time() - started
        scatter.close()
    if read != rows:
        raise BenchmarkError(f"{read} rows of {rows} were read")
    return seconds / rows * 1e6


def cost(listed: Listed) -> Cost:
    """One first load, on a server of its own, and the SADDs of its numbers on another one."""
    with stage() as place, place.server():
        words = [word for name in listed.lists for word in ("--list", name)]
        given = ("--as-of", AS_OF, "--format", listed.format, "--json")
        load_s = place.run("load", str(listed.path), *words, *given).seconds
    return Cost(load_s, bare_add_seconds(numbers(listed)))


def measure(
    names: Sequence[str], rows: int, runs: int, seed: int
) -> Iterator[tuple[str, float, list[Cost]]]:
    """Each of the shapes."""
    with stage() as place:
        lists = {name: written(place, name, rows, seed) for name in names}
        costs: dict[str, list[Cost]] = {name: [] for name in names}
        for _ in range(runs):
            for name in names:
                costs[name].append(cost(lists[name]))
        for name in names:
            read_us = median(reading_us(lists[name], rows) for _ in range(runs))
            yield name, read_us, costs[name]


def figures(name: str, read_us: float, costs: Sequence[Cost], ratio: float) -> Iterator[Figure]:
    """Those of one shape."""
    yield Figure(f"{name}: CPU of reading a row", read_us, "us")
    yield Figure(f"{name}: first load", median(each.load_s for each in costs), "s")
    bare = [(each.bare_s, each.load_s / each.bare_s) for each in costs if each.bare_s]
    if bare:
        yield Figure(f"{name}: redis-cli --pipe of bare SADDs", median(s for s, _ in bare), "s")
        yield Figure(f"{name}: as a multiple of that", median(m for _, m in bare), at_most=ratio)


def slowest(found: Iterable[Sequence[Cost]], spread: float) -> Figure:
    """What the slowest shape takes, as a multiple of the fastest."""
    times = [median(each.load_s for each in costs) for costs in found]
    return Figure("slowest shape over fastest", max(times) / min(times), at_most=spread)


def names_of(text: str) -> list[str]:
    """Shapes, with commas between them."""
    names = text.split(",")
    if not set(NAMES).issuperset(names):
        raise click.BadParameter(f"some of {', '.join(NAMES)}")
    return names


@click.command(help=__doc__)
@click.option("--rows", default=100_000, show_default=True, help="Of each list.")
@click.option("--runs", default=3, show_default=True)
@click.option("--shapes", default=",".join(NAMES), show_default=True)
@click.option("--seed", default=1, show_default=True)
@click.option("--ratio", default=5.0, show_default=True, help="A load to the SADDs, at most.")
@click.option("--spread", default=1.5, show_default=True, help="Slowest to fastest, at most.")
@click.option("--json", "as_json", is_flag=True)
def main(*, as_json: bool, shapes: str, **given: Any) -> None:  # noqa: ANN401 -- click's
    """Measure, print, and end with status 1 where a limit is missed."""
    ratio, spread = given.pop("ratio"), given.pop("spread")
    try:
        found = list(measure(names_of(shapes), **given))
    except BenchmarkError as exc:
        raise click.ClickException(str(exc)) from exc
    told = [each for one in found for each in figures(*one, ratio)]
    finish([*told, slowest((costs for _, _, costs in found), spread)], as_json=as_json)


if __name__ == "__main__":
    main()
