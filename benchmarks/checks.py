"""CPU of the service a check, in process and without sockets, for what carriers really send.

    python -m benchmarks checks [--people 5000] [--listed 0.003] [--rounds 9] [--json]

The whole application answers the shapes of `bodies.py`, over a real Valkey. Figures are the least
of the rounds.
"""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import click
import structlog

from benchmarks.measuring.report import Figure, Report, benchmark
from benchmarks.measuring.stage import Stage, stage
from benchmarks.questions.bodies import SHAPES, people_of, written
from benchmarks.questions.people import first_people
from roster.settings import read_settings
from service.app import create_app

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
    from pathlib import Path

ENTRIES_A_PERSON = 1.784
DISTINCT = 4_000


class Asker:
    """Calls an application as a server does."""

    def __init__(self, app: Any, key: str) -> None:  # noqa: ANN401 -- ASGI says no more
        """With this API key."""
        self._app = app
        self._headers = [(b"host", b"x"), (b"authorization", b"Bearer " + key.encode())]
        self.body = b""
        self.status = 0

    async def ask(self, path: str, body: bytes) -> None:
        """Nothing; `status` and `body` are the answer's."""
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "POST",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "scheme": "http",
            "server": ("127.0.0.1", 80),
            "client": ("127.0.0.1", 1),
            "headers": [*self._headers, (b"content-length", b"%d" % len(body))],
            "state": {},
        }

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            self.status = message.get("status", self.status)
            self.body = message.get("body", b"")

        answering: Awaitable[None] = self._app(scope, receive, send)
        await answering
        assert self.status == 200, self.body[:300]


async def least_us(asker: Asker, path: str, bodies: Sequence[bytes], rounds: int) -> float:
    """The CPU of a request, in microseconds: the least of the rounds."""
    found = []
    for _ in range(rounds):
        started = time.process_time_ns()
        for each in bodies:
            await asker.ask(path, each)
        found.append((time.process_time_ns() - started) / len(bodies) / 1000)
    return min(found)


@asynccontextmanager
async def running(env: Mapping[str, str]) -> AsyncIterator[Any]:
    """The whole application, once it knows the roster; its log lines are no figures."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    app: Any = create_app(read_settings(env))
    async with app.lifespan():
        while not app.state.service.screener.fresh:  # noqa: ASYNC110 -- another task makes it so
            await asyncio.sleep(0.01)
        yield app


async def costs(place: Stage, files: Mapping[str, Path], rounds: int) -> dict[str, float]:
    """The CPU a check of each shape."""
    key, found = place.key("check"), {}
    async with running(place.env) as app:
        asker = Asker(app, key)
        for shape in SHAPES:
            bodies = files[shape.name].read_bytes().splitlines()
            await least_us(asker, shape.path, bodies, 1)
            found[shape.name] = await least_us(asker, shape.path, bodies, rounds) / shape.checks
    return found


@benchmark(__doc__)
@click.option("--people", default=5_000, show_default=True)
@click.option("--listed", default=0.003, show_default=True, help="Share of checks of the listed.")
@click.option("--rounds", default=9, show_default=True)
@click.option("--seed", default=1, show_default=True)
def main(*, people: int, listed: float, rounds: int, seed: int) -> Report:
    """What was measured."""
    with stage() as place:
        entries = round(people * ENTRIES_A_PERSON)
        lists = [place.generate(people, entries, seed + more, shape="documents") for more in (0, 1)]
        known, others = (first_people(path, people) for path in lists)
        files = written(place.folder, people_of(known, others, listed), DISTINCT, seed)
        with place.server():
            place.load(lists[0])
            found = asyncio.run(costs(place, files, rounds))
    return Report([Figure(name, cost, "us a check") for name, cost in found.items()])


if __name__ == "__main__":
    main()
