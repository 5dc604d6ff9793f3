"""A disk that does not answer keeps nobody waiting: the data folder is written beside checks."""

from __future__ import annotations

import json
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.servers import eventually
from tests.service.served import LISTED, Served
from tests.service.test_restarts import PUT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers import Server

ASKED_S = 3.0
"""Longer than it takes until what has changed is written."""
PROMPT_S = 2.0


def test_a_disk_that_does_not_answer_keeps_no_check_waiting(
    valkey: Server, short_folder: Path
) -> None:
    service = Served(valkey, short_folder)
    service.cover()
    data = short_folder / "data"
    with service.running() as running, running.connect() as caller:
        eventually(lambda: any(data.glob("marks-*")))
        (marks,) = data.glob("marks-*")
        with hanging(marks.with_name(f"{marks.name}.{running.process.pid}")):
            body = json.dumps({"changes": [PUT], "wait": "all"}).encode()
            assert caller.ask(caller.request("POST", "/v1/changes", body))[0] == 200
            caller.socket.settimeout(PROMPT_S)
            until = time.monotonic() + ASKED_S
            while time.monotonic() < until:
                assert caller.ask(caller.check(LISTED))[0] == 200
                assert caller.ask(caller.request("GET", "/readyz"))[0] == 200
        old = marks.stat().st_ino  # and it is written again, once the disk answers
        body = json.dumps({"changes": [PUT | {"revision": PUT["revision"] + 1}]}).encode()
        assert caller.ask(caller.request("POST", "/v1/changes", body))[0] == 200
        eventually(lambda: marks.stat().st_ino != old and marks.is_file())


@contextmanager
def hanging(path: Path) -> Iterator[None]:
    """Whoever writes this file waits meanwhile: it is a pipe that nobody reads."""
    os.mkfifo(path)
    try:
        yield
    finally:
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        eventually(lambda: not path.exists())
        os.close(reader)
