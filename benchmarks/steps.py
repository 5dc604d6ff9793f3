"""How many steps of Python a check takes, which no noise of a machine changes.

    python -m benchmarks steps [--record] [--json]

The whole application answers the shapes of `bodies.py` in process, over a real Valkey, while each
instruction of the interpreter and each call of a function written in C is counted: medians over
the requests, by check, of which one in fifty or each is about somebody on the list. What was
counted when it was last recorded stands in `steps.json`, by version of Python; ends with status 1
where a shape takes a fifth more. `--record` writes it anew. What a function in C does inside is not
seen: for that there are `checks` and `peers`.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import click
import msgspec

from benchmarks.checks import ENTRIES_A_PERSON, Asker, running
from benchmarks.measuring.report import Figure, Report, benchmark
from benchmarks.measuring.stage import stage
from benchmarks.questions.bodies import SHAPES, people_of, written
from benchmarks.questions.people import first_people

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import FrameType

RECORD = Path(__file__).resolve().parent / "steps.json"
DEARER = 1.2
PEOPLE, DISTINCT, SEED = 500, 500, 1
LISTED = {"": 0.02, ", all listed": 1.0}
"""The share of those on the list, by what a shape's name says of it."""
_REQUESTS = 15
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"


class Steps(NamedTuple):
    """Of one check: instructions of the interpreter, and calls of functions in C."""

    instructions: float
    calls: float


class Counter:
    """Counts within: a context manager. What runs already when it begins is not counted.

    Nor is what other tasks do meanwhile: they poll, more often where the machine is slow.
    """

    def __init__(self) -> None:
        self.instructions = self.calls = 0
        self._task = asyncio.current_task()

    def __enter__(self) -> Self:
        sys.setprofile(self._profile)
        sys.settrace(self._trace)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)
        sys.setprofile(None)

    def _trace(self, frame: FrameType, event: str, _argument: object) -> Any:  # noqa: ANN401 -- as sys.settrace has it
        if event == "call" and asyncio.current_task() is not self._task:
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        self.instructions += event == "opcode"
        return self._trace

    def _profile(self, _frame: FrameType, event: str, _argument: object) -> None:
        self.calls += event == "c_call" and asyncio.current_task() is self._task


async def counted(asker: Asker, path: str, bodies: list[bytes], checks: int) -> Steps:
    """The medians of some requests, by check; whatever is done but once was done before."""
    for each in bodies[:_REQUESTS]:
        await asker.ask(path, each)
    found = []
    for each in bodies[:_REQUESTS]:
        with Counter() as counter:
            await asker.ask(path, each)
        found.append(Steps(counter.instructions / checks, counter.calls / checks))
    return Steps(*map(statistics.median, zip(*found, strict=True)))


async def steps(key: str, env: Mapping[str, str], files: Mapping[str, Path]) -> dict[str, Steps]:
    """The steps of each shape, by the name of its requests."""
    async with running(env) as app:
        asker, found = Asker(app, key), {}
        for name, path in files.items():
            shape = next(each for each in SHAPES if name.startswith(each.name))
            bodies = path.read_bytes().splitlines()
            found[name] = await counted(asker, shape.path, bodies, shape.checks)
        return found


def measure() -> dict[str, Steps]:
    """The same, of an application of its own."""
    with stage() as place:
        entries = round(PEOPLE * ENTRIES_A_PERSON)
        lists = [place.generate(PEOPLE, entries, SEED + n, shape="documents") for n in (0, 1)]
        known, others = (first_people(path, PEOPLE) for path in lists)
        files: dict[str, Path] = {}
        for more, listed in LISTED.items():
            folder = place.folder / str(listed)
            folder.mkdir()
            made = written(folder, people_of(known, others, listed), DISTINCT, SEED)
            files |= {f"{name}{more}": path for name, path in made.items()}
        with place.server():
            place.load(lists[0])
            return asyncio.run(steps(place.key("check"), place.env, files))


def recorded(path: Path) -> dict[str, dict[str, Steps]]:
    """What stands there, by version of Python and shape."""
    return msgspec.json.decode(path.read_bytes(), type=dict[str, dict[str, Steps]])


def figures(found: Mapping[str, Steps], before: Mapping[str, Steps]) -> list[Figure]:
    """Each count, which may be a fifth above what it was."""
    made = []
    for name, now in found.items():
        for unit in Steps._fields:
            was = getattr(before[name], unit) if name in before else None
            at_most = None if was is None else round(was * DEARER, 2)
            made.append(Figure(name, getattr(now, unit), f"{unit} a check", at_most=at_most))
    return made


@benchmark(__doc__)
@click.option("--record", is_flag=True, help="Write down what is counted.")
@click.option("--kept", type=click.Path(path_type=Path), default=RECORD, help="What was counted.")
def main(*, record: bool, kept: Path) -> Report:
    """What was counted."""
    found, before = measure(), recorded(kept)
    report = Report(figures(found, {} if record else before.get(VERSION, {})))
    if record:
        made = {name: Steps(*(round(each, 1) for each in now)) for name, now in found.items()}
        text = msgspec.json.format(msgspec.json.encode(before | {VERSION: made}), indent=2)
        kept.write_bytes(text + b"\n")
    return report


if __name__ == "__main__":
    main()
