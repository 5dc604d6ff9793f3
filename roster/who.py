"""Who runs a command, for what is kept of it."""

from __future__ import annotations

import getpass
import socket

_LONGEST = 128


def who() -> str:
    """The user, and on which host."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user has no name; OSError: Python 3.13
        user = "somebody"
    return f"{user}@{socket.gethostname()}"[:_LONGEST]
