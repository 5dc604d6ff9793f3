"""Locust against a service of its own: a list generated, loaded, served, and asked about.

    python -m benchmarks load [--people 100000] [--users 40] [--seconds 30] [-- LOCUST OPTIONS]

Ends with locust's status, which is 1 where an objective of `benchmarks/locustfile.py` is
missed.
"""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack

import click

from benchmarks.measuring.machine import ROOT
from benchmarks.measuring.stage import stage

ENTRIES_A_PERSON = 1.784


@click.command(help=__doc__)
@click.option("--people", default=100_000, show_default=True)
@click.option("--users", default=40, show_default=True)
@click.option("--seconds", default=30, show_default=True)
@click.option("--workers", default=1, show_default=True, help="Service processes.")
@click.argument("more", nargs=-1)
def main(people: int, users: int, seconds: int, workers: int, more: tuple[str, ...]) -> None:
    """Run it."""
    with stage() as place, ExitStack() as stack:
        path = place.generate(people, round(people * ENTRIES_A_PERSON))
        stack.enter_context(place.server())
        place.load(path)
        key = place.key("check", "standing", "feed", "list:add", "list:remove")
        service = stack.enter_context(place.serve(workers))
        command = [sys.executable, "-m", "locust", "-f", "benchmarks/locustfile.py", "--headless"]
        command += ["--only-summary", "-u", str(users), "-r", str(users), "-t", f"{seconds}s"]
        command += ["--people-file", str(path), *more]
        status = subprocess.run(
            command,
            cwd=ROOT,
            env=place.env
            | {"CLEARWAY_URL": f"http://127.0.0.1:{service.port}", "CLEARWAY_API_KEY": key},
            check=False,
        ).returncode
    sys.exit(status)


if __name__ == "__main__":
    main()
