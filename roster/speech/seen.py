"""Standard error where the person who types sees it, wherever the command's own goes."""

from __future__ import annotations

import io
import os
import sys
from contextlib import contextmanager, redirect_stderr
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def seen() -> Iterator[None]:
    """Standard error is a terminal inside: the one at which somebody types where it is none itself.

    It stays as it is where nobody types, and where that terminal cannot be opened.
    """
    stream = None if sys.stderr.isatty() or not sys.stdin.isatty() else _terminal()
    if stream is None:
        yield
        return
    with stream, redirect_stderr(stream):
        yield


def _terminal() -> io.TextIOWrapper | None:
    try:
        opened = os.open(os.ttyname(sys.stdin.fileno()), os.O_WRONLY | os.O_NOCTTY)
    except OSError:
        return None
    encoding, errors = sys.stderr.encoding, sys.stderr.errors
    return io.TextIOWrapper(os.fdopen(opened, "wb"), encoding, errors, line_buffering=True)
