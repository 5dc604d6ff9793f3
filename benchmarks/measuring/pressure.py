"""Presses a service with prepared requests as fast as it answers: with wrk, or by ourselves.

    python -m benchmarks.measuring.pressure BODIES URL CONNECTIONS SECONDS    (our own client)

wrk costs a tenth of the CPU of a client in Python, so on two cores it leaves the service
its own; it is taken where it is installed. Both keep as many requests open as there are
connections, in a process of their own.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
from hdrh.histogram import HdrHistogram

from benchmarks.measuring.client import Connection
from benchmarks.measuring.machine import ROOT

_LONGEST_US = 60_000_000


class Load(msgspec.Struct, frozen=True):
    """What to send where: a file of bodies, one a line."""

    bodies: Path
    url: str
    connections: int
    seconds: float
    api_key: str = ""


class Pressed(msgspec.Struct, frozen=True):
    """How it went; `failed` counts errors and statuses above 399."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    failed: int


def client_name() -> str:
    """Which client presses."""
    return "wrk" if shutil.which("wrk") else "benchmarks.measuring.pressure"


def press(load: Load) -> Pressed:
    """The figures of a run; raises CalledProcessError where the client itself fails."""
    env = {"PATH": os.environ["PATH"]}
    if load.api_key:
        env["CLEARWAY_API_KEY"] = load.api_key
    wrk = shutil.which("wrk")
    said = subprocess.run(
        _wrk(wrk, load) if wrk else _ours(load),
        cwd=ROOT,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
    )
    return msgspec.json.decode(said.stdout.strip().splitlines()[-1], type=Pressed)


def _wrk(wrk: str, load: Load) -> list[str]:
    script = Path(__file__).with_name("wrk.lua")
    size = [f"-c{load.connections}", f"-d{max(1, round(load.seconds))}s", "--timeout", "30s"]
    return [wrk, "-t1", *size, "-s", str(script), load.url, "--", str(load.bodies)]


def _ours(load: Load) -> list[str]:
    rest = (str(load.bodies), load.url, str(load.connections), str(load.seconds))
    return [sys.executable, "-m", "benchmarks.measuring.pressure", *rest]


class Presser:
    """Our own client."""

    def __init__(self, load: Load) -> None:
        """Reads the bodies."""
        self._load = load
        self._histogram = HdrHistogram(1, _LONGEST_US, 3)
        self._failed = 0
        self._at = 0
        self._bodies = [msgspec.Raw(line) for line in load.bodies.read_bytes().splitlines()]

    async def run(self) -> Pressed:
        """The figures."""
        until = time.perf_counter() + self._load.seconds
        started = time.perf_counter()
        await asyncio.gather(*(self._one(until) for _ in range(self._load.connections)))
        seconds = time.perf_counter() - started
        return Pressed(
            self._histogram.get_total_count(),
            seconds,
            self._histogram.get_value_at_percentile(50) / 1000,
            self._histogram.get_value_at_percentile(99) / 1000,
            self._failed,
        )

    async def _one(self, until: float) -> None:
        url = urlsplit(self._load.url)
        assert url.port is not None
        async with Connection(url.port, self._load.api_key) as connection:
            made = [connection.request(url.path, body) for body in self._bodies]
            while (sent := time.perf_counter()) < until:
                self._at = (self._at + 1) % len(made)
                answer = await connection.send(made[self._at])
                self._histogram.record_value(round((time.perf_counter() - sent) * 1e6))
                self._failed += answer.status >= 400


def main() -> None:
    """Press as the arguments say, and print the figures as JSON."""
    bodies, url, connections, seconds = sys.argv[1:]
    key = os.environ.get("CLEARWAY_API_KEY", "")
    load = Load(Path(bodies), url, int(connections), float(seconds), key)
    print(msgspec.json.encode(asyncio.run(Presser(load).run())).decode())


if __name__ == "__main__":
    main()
