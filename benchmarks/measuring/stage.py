"""A roster of a benchmark's own: a data folder, Clearway's programs on it, and their end."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click
import msgspec
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from benchmarks.measuring.machine import ROOT
from benchmarks.measuring.procs import PeakMemory
from roster.embedded.embedded import Embedded, EmbeddedOptions, acquire

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

LISTS = ("sx", "xgl", "ndrc-rail-conduct", "ndrc-rail", "ndrc-air")
AS_OF = "2019-01-01"  # after every revision of a generated list
START_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 20.0
_POLL_S = 0.005
CLEARWAY = (sys.executable, str(ROOT / "clearway.py"))
"""Begins every command of this version."""


class BenchmarkError(click.ClickException):
    """A program that should have worked did not; its own words follow."""


class Ran(NamedTuple):
    """How a command went; `summary` is what it printed as JSON, if it did."""

    seconds: float
    peak_bytes: int
    summary: Any


class Running(NamedTuple):
    """A server on this machine, and how long it took until it was ready."""

    pid: int
    port: int
    ready_s: float


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def program(
    command: Sequence[str], env: Mapping[str, str], probe: str
) -> Iterator[tuple[subprocess.Popen[bytes], float]]:
    """A server that runs meanwhile, ready when GET `probe` is 200; and the seconds it took.

    An error that ends it early is told what the server has logged.
    """
    with tempfile.TemporaryFile() as log:
        started = time.monotonic()
        process = subprocess.Popen(
            command, cwd=ROOT, env=dict(env), stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        try:
            _wait_until_ready(process, probe, started)
            yield process, time.monotonic() - started
        except Exception as exc:
            log.seek(0)
            exc.add_note(f"{probe} logged: {log.read().decode(errors='replace')[-2000:]}")
            raise
        finally:
            process.terminate()
            try:
                process.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_until_ready(process: subprocess.Popen[bytes], probe: str, started: float) -> None:
    while not answers(probe):
        if process.poll() is not None or time.monotonic() > started + START_TIMEOUT_S:
            raise BenchmarkError("it is not ready")
        time.sleep(_POLL_S)


def answers(url: str) -> bool:
    """Whether a GET of this is 200."""
    with suppress(urllib.error.URLError, OSError), urllib.request.urlopen(url, timeout=2) as got:
        return bool(got.status == 200)
    return False


class Stage:
    """An empty roster on an embedded server; whatever runs on it is ended with it."""

    def __init__(self, folder: Path) -> None:
        """In this folder, which is the stage's alone."""
        self.folder = folder
        self.data = folder / "data"
        kept = {name: text for name, text in os.environ.items() if not name.startswith("CLEARWAY_")}
        own = {"CLEARWAY_DATA_DIR": str(self.data), "CLEARWAY_DRAIN_S": "0"}
        self.env = kept | own | {"CLEARWAY_LOG_LEVEL": "warning"}

    @property
    def socket(self) -> Path:
        """Where the embedded server listens while somebody uses it."""
        return self.data / "valkey.sock"

    @property
    def server_pid(self) -> int:
        """The embedded server's process."""
        return int((self.data / "valkey.pid").read_text())

    def client(self) -> redis.Redis:
        """A plain client of the embedded server, to look at what it holds."""
        return redis.Redis(
            unix_socket_path=str(self.socket),
            socket_timeout=60,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
        )

    def server(self) -> Embedded:
        """A share in the embedded server, which runs at least until that is closed."""
        return acquire(EmbeddedOptions(self.data))

    def run(self, *arguments: str, timeout_s: float = 1_800) -> Ran:
        """A `clearway` command done; raises BenchmarkError where its status is not 0."""
        started = time.monotonic()
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            process = subprocess.Popen(
                [*CLEARWAY, *arguments],
                cwd=ROOT,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )
            server = self.server_pid if self.socket.exists() else 0
            with PeakMemory(process.pid, without=server) as peak:
                status = process.wait(timeout_s)
            seconds = time.monotonic() - started
            out.seek(0)
            err.seek(0)
            said = out.read().decode()
            if status:
                told = (said + err.read().decode(errors="replace"))[-2000:]
                raise BenchmarkError(f"clearway {arguments[0]} ended with status {status}: {told}")
        return Ran(seconds, peak.bytes, _json(said))

    def generate(self, people: int, entries: int, seed: int = 1, *, shape: str = "party") -> Path:
        """A synthetic list of this size, in a file of its shape and seed."""
        path = self.folder / ("list.csv.gz" if seed == 1 else f"list-{seed}.csv.gz")
        size = ("--people", str(people), "--entries", str(entries), "--seed", str(seed))
        self.run("generate", *size, "--shape", shape, "--out", str(path))
        return path

    def load(self, path: Path, *more: str, as_of: str = AS_OF) -> Ran:
        """A whole file loaded for every list that a generated one has."""
        lists = [word for name in LISTS for word in ("--list", name)]
        return self.run("load", str(path), *lists, "--as-of", as_of, "--json", *more)

    def key(self, *scopes: str) -> str:
        """A new API key, with no limit of its rate."""
        with tempfile.TemporaryFile() as out:
            subprocess.run(
                [*CLEARWAY, "keys", "create", "--name", "bench", "--scopes", ",".join(scopes)],
                cwd=ROOT,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=out,
                check=True,
            )
            out.seek(0)
            return out.read().decode().strip()

    @contextmanager
    def serve(self, workers: int = 1) -> Iterator[Running]:
        """The service, ready to decide."""
        port = free_port()
        command = [*CLEARWAY, "serve", "--port", str(port), "--workers", str(workers)]
        with program(command, self.env, f"http://127.0.0.1:{port}/readyz") as (process, seconds):
            yield Running(process.pid, port, seconds)


@contextmanager
def stage() -> Iterator[Stage]:
    """A stage in a temporary folder whose path is short enough for a socket."""
    folder = Path(tempfile.mkdtemp(prefix="clearway-bench-"))
    try:
        yield Stage(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _json(said: str) -> Any:  # noqa: ANN401 -- JSON is whatever it is
    with suppress(msgspec.DecodeError):
        return msgspec.json.decode(said)
    return None
