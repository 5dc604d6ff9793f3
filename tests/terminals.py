"""Commands on a terminal of their own, where a person types."""

from __future__ import annotations

import codecs
import errno
import fcntl
import os
import select
import struct
import subprocess
import sys
import termios
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.servers import DEADLINE_S

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from typing import IO


class Terminal:
    """One command on it; whoever types waits until it has asked."""

    def __init__(self, controller: int, process: subprocess.Popen[bytes]) -> None:
        self._controller = controller
        self._text = codecs.getincrementaldecoder("utf-8")()
        self.process = process
        self.shown = ""

    def wait_for(self, text: str) -> None:
        """Read until the command has shown this."""
        deadline = time.monotonic() + DEADLINE_S
        while text not in self.shown:
            assert time.monotonic() < deadline, self.shown
            if not self._read():
                raise AssertionError(f"{text!r} is not in {self.shown!r}")

    def answer(self, question: str, line: str) -> None:
        """Type a line once the command has asked for it."""
        self.wait_for(question)
        os.write(self._controller, f"{line}\n".encode())

    def end(self) -> int:
        """The status, once the command has ended; `shown` has all."""
        while self._read():
            pass
        return self.process.wait(DEADLINE_S)

    def _read(self) -> bool:
        """Take what is there; False where the terminal is closed on the other side."""
        ready, _, _ = select.select([self._controller], [], [], DEADLINE_S)
        assert ready, self.shown
        try:
            data = os.read(self._controller, 1 << 16)
        except OSError as exc:
            if exc.errno != errno.EIO:
                raise
            return False
        self.shown = (self.shown + self._text.decode(data)).replace("\r\n", "\n")
        return bool(data)


@contextmanager
def terminal(
    environ: Mapping[str, str],
    folder: Path,
    *arguments: str,
    columns: int = 80,
    stderr: IO[bytes] | None = None,
) -> Iterator[Terminal]:
    """The command, on a terminal of so many columns; `stderr` lies elsewhere where it is given."""
    controller, other = os.openpty()
    fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", "clearway", *arguments],
        env={"LC_ALL": "C.UTF-8", "TERM": "xterm-256color", **environ},
        cwd=folder,
        stdin=other,
        stdout=other,
        stderr=other if stderr is None else stderr,
        start_new_session=True,
    )
    os.close(other)
    try:
        yield Terminal(controller, process)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        os.close(controller)
