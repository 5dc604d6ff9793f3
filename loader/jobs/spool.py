"""A folder of files to load: what is ready in it, and where a file goes that was dealt with."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from loader.jobs.manifest import Manifest, manifest_path, read_manifest, signature_path
from roster.errors import LoadRefused

DONE, REFUSED = "done", "refused"
_LOCK, _REPORT, _REJECTS = ".clearway-watch", ".report.json", ".rejects.csv"
_NO_AS_OF_MS = -1
"""Before all others: it is refused, and holds up nobody."""

FileStamp = tuple[tuple[int, int, int], ...]
"""Inode, size and time of change of a file, its manifest, and its signature."""


class WaitingFile(msgspec.Struct, frozen=True, order=True):
    """A file that is there with its manifest; they sort as they are to be loaded."""

    as_of_ms: int
    name: str
    stamp: FileStamp


class Moving(msgspec.Struct, frozen=True):
    """A file that was dealt with, on its way: whether all of it has been moved is not known."""

    name: str
    stamp: FileStamp
    folder: str
    base: str
    report: msgspec.Raw


class Spool:
    """One folder; whatever is killed, what it has begun to move is moved by the next."""

    def __init__(self, folder: Path, *, signed: bool) -> None:
        """`signed`: a file is there only with its signature, too."""
        self.folder = folder
        self._signed = signed

    @property
    def lock(self) -> Path:
        """What one process holds at a time."""
        return self.folder / _LOCK

    def rejects(self, name: str) -> Path:
        """Where the rejects of a file lie until it is moved."""
        return self.folder / f".{name}{_REJECTS}"

    def rejects_in(self, folder: str, name: str) -> Path:
        """Where they will lie once the file is moved to that folder."""
        into = self.folder / folder
        into.mkdir(exist_ok=True)
        return into / f"{_free(into, name)}{_REJECTS}"

    def waiting(self) -> list[WaitingFile]:
        """The files that are there with all that belongs to them, in their order."""
        found = []
        for name in self._names():
            stamp = self._stamp(name)
            if stamp is not None:
                found.append(WaitingFile(self._as_of_ms(name), name, stamp))
        return sorted(found)

    def alone(self) -> set[str]:
        """The files that lack a manifest or, where it is required, a signature."""
        return {name for name in self._names() if self._stamp(name) is None}

    def manifest(self, name: str) -> Manifest:
        """What a file's manifest states; nothing where it cannot be read."""
        with suppress(LoadRefused):
            return read_manifest(str(self.folder / name), None) or Manifest()
        return Manifest()

    def same(self, waiting: WaitingFile) -> bool:
        """Whether file and manifest are what they were."""
        return self._stamp(waiting.name) == waiting.stamp

    def is_whole(self, name: str) -> bool:
        """Whether the file has the SHA-256 that its manifest states."""
        path = self.folder / name
        try:
            manifest = read_manifest(str(path), None)
            with path.open("rb") as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        except (LoadRefused, OSError):
            return False
        return manifest is not None and (manifest.sha256 or "").lower() == sha256

    def move(self, waiting: WaitingFile, folder: str, report: object) -> None:
        """Move the file and all that belongs to it to that folder; write the report beside it."""
        into = self.folder / folder
        into.mkdir(exist_ok=True)
        raw = msgspec.Raw(msgspec.json.format(msgspec.json.encode(report), indent=2))
        moving = Moving(waiting.name, waiting.stamp, folder, _free(into, waiting.name), raw)
        partial = self.folder / f".{waiting.name}.partial"
        partial.write_bytes(msgspec.json.encode(moving))
        partial.replace(self._note(waiting.name))
        self._finish(moving)

    def recover(self) -> list[str]:
        """The names of the files whose moving was begun before, and is done now."""
        names = []
        for path in sorted(self.folder.glob(".*.moving")):
            moving = msgspec.json.decode(path.read_bytes(), type=Moving)
            self._finish(moving)
            names.append(moving.name)
        return names

    def _finish(self, moving: Moving) -> None:
        into = self.folder / moving.folder
        into.mkdir(exist_ok=True)
        (into / f"{moving.base}{_REPORT}").write_bytes(bytes(moving.report) + b"\n")
        rejects = self.rejects(moving.name)
        if rejects.exists():
            rejects.replace(into / f"{moving.base}{_REJECTS}")
        for known, path in zip(moving.stamp, self._paths(moving.name), strict=False):
            if _stamp_of(path) == known:  # another one of this name may have come since
                path.replace(into / path.name.replace(moving.name, moving.base, 1))
        self._note(moving.name).unlink(missing_ok=True)

    def _note(self, name: str) -> Path:
        return self.folder / f".{name}.moving"

    def _names(self) -> Iterator[str]:
        for entry in os.scandir(self.folder):
            own = entry.name.endswith((".manifest.json", ".manifest.json.sig"))
            if not own and not entry.name.startswith(".") and entry.is_file():
                yield entry.name

    def _paths(self, name: str) -> tuple[Path, ...]:
        path = str(self.folder / name)
        return Path(path), manifest_path(path), signature_path(path)

    def _stamp(self, name: str) -> FileStamp | None:
        """Of all its files; None where one is missing. A signature counts where there is one."""
        stamps = [_stamp_of(path) for path in self._paths(name)]
        needed = stamps if self._signed else stamps[:2]
        return None if None in needed else tuple(stamp or (0, 0, 0) for stamp in stamps)

    def _as_of_ms(self, name: str) -> int:
        try:
            as_of_ms = self.manifest(name).as_of_ms
        except LoadRefused:
            return _NO_AS_OF_MS
        return _NO_AS_OF_MS if as_of_ms is None else as_of_ms


def _stamp_of(path: Path) -> tuple[int, int, int] | None:
    try:
        known = path.stat()
    except OSError:
        return None
    return known.st_ino, known.st_size, known.st_mtime_ns


def _free(folder: Path, name: str) -> str:
    """The name, or one like it, under which nothing lies in the folder yet."""
    taken = {entry.name for entry in os.scandir(folder)}
    number, base = 1, name
    while any(each == base or each.startswith(f"{base}.") for each in taken):
        number += 1
        base = f"{number}-{name}"
    return base
