"""`serve` with a server of its own whose socket is taken away."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from roster.embedded import locks
from roster.embedded.embedded import EmbeddedOptions, acquire
from tests.faults.world import COMMAND, Process
from tests.servers import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOLD_S = 5.0
START_S = 5.0
"""How long the interpreter may take to start, on a machine that other tests keep busy."""


@pytest.fixture
def serving(short_folder: Path) -> Iterator[Process]:
    settings = {"CLEARWAY_DATA_DIR": str(short_folder), "CLEARWAY_LOG_LEVEL": "warning"}
    process = Process(short_folder, settings)
    process.start()
    try:
        yield process
    finally:
        process.kill()
        with acquire(EmbeddedOptions(short_folder)):
            pass  # whatever is left of its server ends here


def test_commands_are_told_and_serve_still_ends_its_server(
    serving: Process, short_folder: Path
) -> None:
    eventually(lambda: serving.condition()[0] != 0)
    (short_folder / "valkey.sock").unlink()
    began = time.monotonic()
    done = subprocess.run(
        [*COMMAND, "keys", "list"],
        env={**os.environ, **serving.settings},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert time.monotonic() - began < TOLD_S + START_S
    assert done.returncode == 1
    assert "valkey.sock is gone" in done.stderr
    assert "Traceback" not in done.stderr
    assert serving.running
    ending = time.monotonic()
    serving.kill(signal.SIGTERM)
    assert time.monotonic() - ending < TOLD_S + START_S
    lock = locks.take_if_free(short_folder / "server.lock")
    assert lock is not None
    os.close(lock)
