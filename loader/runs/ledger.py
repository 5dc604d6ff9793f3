"""What a load leaves on record of itself, and whether the same was loaded last."""

from __future__ import annotations

import getpass
import hashlib
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from roster.storage.dictionary import Load, LoadedFile

_ACTOR_MAX, _WHO_MAX, _FILES_MAX = 128, 128, 64


def actor_of(paths: Sequence[str]) -> str:
    """What entries name as the load that they come from: the files' names."""
    return " ".join(Path(path).name for path in paths)[:_ACTOR_MAX]


def who() -> str:
    """Who runs this, on which host."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user has no name; OSError: Python 3.13
        user = "somebody"
    return f"{user}@{socket.gethostname()}"[:_WHO_MAX]


def begun(paths: Sequence[str], kind: str, now_ms: int, **more: Any) -> Load:  # noqa: ANN401 -- Load's
    """What goes on record of a load of these files that begins now."""
    return Load(actor=actor_of(paths), received_at_ms=now_ms, kind=kind, who=who(), **more)


def last_of(lists: Sequence[str], loads: Mapping[int, Load]) -> tuple[int, Load] | None:
    """The last load, done or not, that may have touched one of these lists; None: there is none.

    `loads` are the last first.
    """
    return next(
        (
            (number, load)
            for number, load in loads.items()
            if not load.kind or not set(lists).isdisjoint(load.lists)
        ),
        None,
    )


def is_same(load: Load, before: Load) -> bool:
    """Whether a load would bring what one before it, which is done, has brought."""
    told = [(*sorted(each.lists), each.as_of, each.partial, _read(each)) for each in (load, before)]
    return bool(load.files) and before.applied_at_ms is not None and told[0] == told[1]


def _read(load: Load) -> list[tuple[bytes, str, str]]:
    return sorted((file.sha256, file.format, file.encoding) for file in load.files)


def files_of(
    paths: Sequence[str], sha256: Sequence[str], form: str, encoding: str
) -> tuple[LoadedFile, ...]:
    """The files as they are on record: each, or very many as if they were one."""
    if len(paths) > _FILES_MAX:
        together = hashlib.sha256("".join(sorted(sha256)).encode()).digest()
        return (LoadedFile(f"{len(paths)} files", together, form, encoding),)
    return tuple(
        LoadedFile(Path(path).name[:_ACTOR_MAX], bytes.fromhex(digest), form, encoding)
        for path, digest in zip(paths, sha256, strict=True)
    )
