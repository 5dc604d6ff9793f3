"""One process's part of a load, from locust's start to the exit status."""

from __future__ import annotations

import csv
import os
import sys
import time
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import gevent  # type: ignore[import-untyped]
from gevent.event import Event  # type: ignore[import-untyped]
from locust.runners import MasterRunner, WorkerRunner

from benchmarks.measuring.report import Figure, show
from benchmarks.users import bursts
from benchmarks.users.maintainers import FeedConsumer, Maintainer
from benchmarks.users.scene import Plan, Scene
from benchmarks.users.tally import REQUESTS, Limits, figures, saturation
from benchmarks.users.together import Workers, obey, tell_read
from benchmarks.users.travellers import People, read
from benchmarks.users.user import ClearwayUser
from benchmarks.users.wire import Service, Wire

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

    from locust.env import Environment

_WATCH_S = 0.05


class Run:
    """What a load's process does at each of its stages; `runner` says which process it is."""

    def __init__(self, environment: Environment) -> None:
        """As the options say; ends the program where they cannot be followed."""
        assert environment.parsed_options is not None, "no command line"
        self._environment, self._options = environment, environment.parsed_options
        self._people = People([], [], 0)
        self._read = Event()
        self._watcher: object = None
        self._begun_s = self._ended_s = 0.0
        runner = environment.runner
        self._master = Workers(runner) if isinstance(runner, MasterRunner) else None
        self._worker = runner if isinstance(runner, WorkerRunner) else None
        environment.host = environment.host or os.environ.get("CLEARWAY_URL")
        self._scene = ClearwayUser.scene = Scene(_service(environment.host), _plan(self._options))

    def prepare(self) -> None:
        """Ready to begin: the people are read, here or by all workers."""
        options = self._options
        if self._worker is None:
            _probe(self._scene.service)
            _count(self._environment, Maintainer, options.maintainers)
            _count(self._environment, FeedConsumer, options.feeds)
            if options.shape == "bursts":
                self._environment.shape_class = bursts.OnTheHour(options)
        if self._master is None:
            self._read_people()
        elif options.headless:
            wait_s = options.expect_workers_max_wait or float("inf")
            self._master.wait_until_read(options.expect_workers, wait_s)

    def begin(self) -> None:
        """Whom this process asks about and changes, now that it knows its number."""
        self._begun_s, self._ended_s = time.monotonic(), 0.0
        self._scene.tally.clear()
        if self._master is not None:
            self._master.begin()
            return
        self._read.wait()
        self._watcher = self._watcher or gevent.spawn(self._watch)
        if self._worker is None:
            self._scene.begin(self._people, 0, 1)
        else:
            count = self._options.expect_workers
            self._scene.begin(self._people, self._worker.worker_index, count)

    def end(self) -> None:
        """The users have ended, and all that was measured is here."""
        self._ended_s = time.monotonic()
        if self._master is not None:
            self._master.end()

    def tell(self, data: dict[str, Any]) -> None:
        """What this worker has measured since it last told the master."""
        data["clearway"] = self._scene.tally.taken()

    def told(self, data: dict[str, Any]) -> None:
        """What a worker has told."""
        self._scene.tally.add(data["clearway"])

    def judge(self) -> None:
        """The exit status: 1 where anything is wrong; a worker's is its master's."""
        runner = self._environment.runner
        broken = bool(runner and runner.exceptions) or bool(self._worker is None and self._missed)
        self._environment.process_exit_code = int(broken)

    def report(self) -> None:
        """The figures printed, and beside locust's own tables where those are wanted."""
        if self._worker is not None:
            return
        found = self._figures
        print("\n" + show(found))
        if self._options.csv_prefix:
            _write(Path(f"{self._options.csv_prefix}_figures.csv"), found)
        if said := saturation(self._scene.tally, _limits(self._options)):
            print(said)
        if missed := self._missed:
            print(f"missed: {', '.join(missed)}")

    @property
    def _figures(self) -> list[Figure]:
        ended_s = self._ended_s or time.monotonic()
        return [*figures(self._scene.tally, _limits(self._options), ended_s - self._begun_s)]

    @property
    def _missed(self) -> list[str]:
        missed = [each.name for each in self._figures if each.missed]
        if self._master is not None and self._master.lost:
            missed.append(f"the last figures of {self._master.lost} workers, who were lost")
        if not self._scene.tally.counts[REQUESTS]:
            missed.append("nothing was asked")
        return missed

    def _read_people(self) -> None:
        """The people, in a thread beside which the heart beats on; ends the program without."""
        options = self._options
        wanted = Path(options.people_file), options.people, options.unlisted
        self._people, fault = gevent.get_hub().threadpool.apply(_read, wanted)
        if self._worker is not None:
            obey(self._worker)
            tell_read(self._worker, fault)
        if fault:
            _refuse(fault)
        self._read.set()

    def _watch(self) -> None:
        """How much of a CPU this process has, and how late it wakes up."""
        cpu_s, wall_s = time.process_time(), time.monotonic()
        while True:
            asleep_s = time.monotonic()
            time.sleep(_WATCH_S)
            now_s = time.monotonic()
            self._scene.tally.late(now_s - asleep_s - _WATCH_S)
            if now_s >= wall_s + 1:
                used_s = time.process_time()
                self._scene.tally.second(used_s - cpu_s, now_s - wall_s)
                cpu_s, wall_s = used_s, now_s


def _count(environment: Environment, kind: type[ClearwayUser], count: int) -> None:
    """So many users of a kind; for locust none would be no fixed number."""
    kind.fixed_count = count
    if not count:
        environment.user_classes.remove(kind)


def _read(path: Path, listed: int, unlisted: int) -> tuple[People, str]:
    """The people, or what keeps them from being read."""
    try:
        people = read(path, listed, unlisted)
    except (OSError, EOFError, ValueError, LookupError, csv.Error, zlib.error) as exc:
        return People([], [], 0), f"--people-file cannot be read: {type(exc).__name__}"
    nobody = "" if people.listed else "--people-file names nobody who can be asked about"
    return people, nobody


def _service(url: str | None) -> Service:
    key = os.environ.get("CLEARWAY_API_KEY", "")
    if not url or not url.startswith(("http://", "https://")):
        _refuse("CLEARWAY_URL, or --host, has to say where the service is: http://HOST:PORT")
    if not key or not key.isascii() or not key.isprintable():
        _refuse("CLEARWAY_API_KEY has to be a key of the service")
    return Service(url, key)


def _refuse(said: str) -> NoReturn:
    print(said, file=sys.stderr)
    sys.exit(2)


def _probe(service: Service) -> None:
    """Ends the program where the service does not answer, or the key may not do all of this."""
    wire = Wire(service, 10.0)
    replies = [wire.post(f"/v1/{route}", b"{}") for route in ("check", "standing")]
    replies.append(wire.get("/v1/changes?after=now"))
    wire.close()
    for reply in replies:
        if reply.fault or reply.status not in (200, 400):
            what = reply.fault or f"status {reply.status}"
            _refuse(f"{service.url}: {what}; the key needs check,standing,feed")


def _plan(options: Namespace) -> Plan:
    return Plan(**{name: getattr(options, name) for name in Plan._fields})


def _limits(options: Namespace) -> Limits:
    names = ("check", "batch", "at_least", "standing", "change", "feed")
    p99_ms = {name: getattr(options, f"{name}_p99_ms") for name in names}
    return Limits(p99_ms, options.failures, options.referrals, options.unsent, options.rate)


def _write(path: Path, found: Sequence[Figure]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(("figure", "value", "unit", "limit", "missed"))
        out.writerows((each.name, each.value, each.unit, each.limit, each.missed) for each in found)
