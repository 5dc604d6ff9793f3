"""Load as Clearway's users make it: counters, manifests, lists' maintainers, the feed's consumers.

    CLEARWAY_URL=… CLEARWAY_API_KEY=… locust -f benchmarks/locustfile.py --headless \
        -u 40 -r 20 -t 60s --people-file list.csv.gz --html report.html --csv report

The key needs `check,standing,feed,list:add,list:remove`. Every answer is compared with what the
file says of the person. The run ends with status 1 where one is wrong or an objective is missed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from locust import events, stats

from benchmarks.users.carriers import AirCounter, FlightManifest, RailCounter, TrainManifest
from benchmarks.users.locust_run import Run
from benchmarks.users.maintainers import FeedConsumer, Maintainer

if TYPE_CHECKING:
    from locust.argument_parser import LocustArgumentParser
    from locust.env import Environment

__all__ = [
    "AirCounter", "FeedConsumer", "FlightManifest", "Maintainer", "RailCounter", "TrainManifest",
]  # fmt: skip

runs: list[Run] = []
OPTIONS: dict[str, tuple[Any, str]] = {
    "people-file": ("", "The list as it is loaded: csv, plain or gzipped"),
    "people": (20_000, "How many of it are asked about"),
    "unlisted": (50_000, "How many others are asked about"),
    "listed": (0.003, "The share of checks that are about people of the list"),
    "pace": (1.0, "Times as many tasks of each user: 1 is 10 checks a second at a counter"),
    "maintainers": (1, "Users who remove people and put them back"),
    "feeds": (1, "Users who poll the feed"),
    "bulk": (50, "People in a bulk removal"),
    "held-s": (2.0, "The longest time for which somebody is off the list"),
    "added-s": (3.0, "An addition is denied everywhere so long after its acknowledgement"),
    "told-s": (10.0, "The feed tells of a change within this"),
    "shape": ("steady", "'steady', or 'bursts' on the hour"),
    "hour-s": (60.0, "How long an hour of the bursts is"),
    "burst-s": (10.0, "How long a burst is"),
    "burst-times": (5.0, "How many times the users there are in a burst"),
    "check-p99-ms": (50.0, "Objective"),
    "batch-p99-ms": (200.0, "Objective"),
    "at-least-p99-ms": (1_000.0, "Objective: batches that have to be as new as a position"),
    "standing-p99-ms": (50.0, "Objective"),
    "change-p99-ms": (100.0, "Objective"),
    "feed-p99-ms": (1_000.0, "Objective: from a change's sending until the feed has told of it"),
    "failures": (0.0, "Objective: share of requests without an answer of status 200"),
    "referrals": (0.001, "Objective: share of checks referred though they need not be"),
    "unsent": (0.05, "Objective: share of what was planned that users had no time to send"),
    "rate": (0.0, "Objective: requests a second at least"),
}


def _add_options(parser: LocustArgumentParser) -> None:
    """Each may be an environment variable, too: `BENCH_PEOPLE_FILE`."""
    for name, (default, said) in OPTIONS.items():
        parser.add_argument(
            f"--{name}",
            env_var="BENCH_" + name.upper().replace("-", "_"),
            type=type(default),
            default=default,
            help=said,
            choices=("steady", "bursts") if name == "shape" else None,
        )


def _init(environment: Environment, **_: object) -> None:
    runs.append(Run(environment))
    runs[0].prepare()


def _bucket(ms: float) -> float:
    """Tenths of milliseconds for locust's own tables, in which an answer else took 0 or 1."""
    return round(ms, 1) if ms < 100 else _whole(ms)


_whole = stats.bucket_response_time
stats.bucket_response_time = _bucket  # type: ignore[assignment]  # locust says whole ones only
LISTENERS: dict[str, Any] = {
    "init_command_line_parser": _add_options,
    "init": _init,
    "test_start": lambda **_: runs[0].begin(),
    "test_stop": lambda **_: runs[0].end(),
    "report_to_master": lambda data, **_: runs[0].tell(data),
    "worker_report": lambda data, **_: runs[0].told(data),
    "quitting": lambda **_: runs[0].judge(),
    "quit": lambda **_: runs[0].report(),
}
for _name, _listener in LISTENERS.items():
    getattr(events, _name).add_listener(_listener)
