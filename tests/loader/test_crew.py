"""Workers that ask for their tasks: none waits in a pipe, and one that dies ends the work."""

from __future__ import annotations

import os
import signal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from loader.jobs.crew import Crew, Make
from roster.errors import LoadRefused
from tests.servers import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

MANY_BYTES = 3 << 20


class Clerk:
    """A worker that answers as much as it is sent, and ends as it is told to."""

    def __init__(self, folder: Path, number: int) -> None:
        (folder / str(os.getpid())).write_text(str(number))

    def echo(self, data: bytes) -> bytes:
        return data

    def die(self, how: int) -> None:
        os.kill(os.getpid(), how)
        signal.pause()

    def refuse(self, reason: str) -> None:
        raise LoadRefused(reason)

    def files(self, _: int) -> int:
        """How many files are open, but for the three that every program has."""
        return len(list(Path("/dev/fd").iterdir())) - len("012") - 1  # and that of the list

    def close(self) -> None:
        pass


def crew(folder: Path, jobs: int) -> Crew:
    return Crew(cast("Make", partial(Clerk, folder)), jobs, lambda: None)


def none_is_left(folder: Path) -> bool:
    return not any((Path("/proc") / each.name).exists() for each in folder.iterdir())


@pytest.mark.parametrize("jobs", [0, 1, 5])
def test_nobody_stands_still_however_much_is_sent_and_answered(tmp_path: Path, jobs: int) -> None:
    sent = [bytes((n,)) * MANY_BYTES for n in range(jobs * 3 + 3)]
    with crew(tmp_path, jobs) as working:
        answered = sorted(working.map("echo", sent))
    assert answered == sent
    assert jobs == 0 or none_is_left(tmp_path)


def test_no_more_is_taken_than_the_workers_have_asked_for(tmp_path: Path) -> None:
    taken = 0

    def tasks() -> Iterator[bytes]:
        nonlocal taken
        while taken < 40:
            taken += 1
            yield b"task"

    with crew(tmp_path, 2) as working:
        for answered, _ in enumerate(working.map("echo", tasks())):
            assert taken <= answered + 3


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_worker_that_is_killed_ends_the_work_with_a_message(
    tmp_path: Path, how: signal.Signals
) -> None:
    told = pytest.raises(LoadRefused, match=r"worker process .* the same command again")
    with told, crew(tmp_path, 3) as working:
        list(working.map("die", [how]))
    eventually(lambda: none_is_left(tmp_path))


def test_what_a_worker_refuses_is_refused_and_all_are_gone(tmp_path: Path) -> None:
    with pytest.raises(LoadRefused, match="no such thing"), crew(tmp_path, 3) as working:
        list(working.map("refuse", ["no such thing"] * 10))
    assert none_is_left(tmp_path)


def test_a_worker_keeps_nothing_open_but_its_pipe(tmp_path: Path) -> None:
    with (tmp_path / "ours").open("wb"), crew(tmp_path, 3) as working:
        assert list(working.map("files", range(6))) == [1] * 6
