"""The files of one snapshot as pieces to scatter, held to what their manifests state."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from loader.files.sources import Format, Source, SourceOptions
from loader.files.streams import STDIN
from loader.jobs.manifest import Manifest, manifest_path, read_manifest, signature_path
from loader.rows.scatter import Piece, ScatterResult
from roster.documents.spelling import trimmed
from roster.errors import LoadRefused, WrongUsage
from roster.storage.dictionary import LoadedFile
from roster.times import format_ms

_NAME_MAX, _FILES_MAX = 128, 64


class Files(msgspec.Struct, frozen=True):
    """What the caller says about the files: `as_of` and `lists` may be left to manifests."""

    paths: tuple[str, ...]
    lists: tuple[str, ...] = ()
    as_of: int | None = None
    format: Format = "auto"
    encoding: str = "utf-8"


class Intake:
    """The files, read once."""

    def __init__(self, files: Files, public_key: Ed25519PublicKey | None) -> None:
        """Reads the manifests; raises LoadRefused."""
        self._files = files
        self.paths = files.paths
        if public_key is not None and STDIN in files.paths:
            raise LoadRefused("standard input has no signature: only signed files are loaded here")
        missing = [path for path in files.paths if path != STDIN and not Path(path).exists()]
        if missing:
            raise LoadRefused(f"{missing[0]}: no such file")
        self.manifests = [
            None if path == STDIN else read_manifest(path, public_key) for path in files.paths
        ]
        self._sha256: list[str] = []
        self.hints: dict[str, str] = {}
        """What may be wrong with a file as a whole, if its rows turn out to be of no use."""
        self.unended: list[str] = []
        """What is said of a CSV whose last line has no end, if entries turn out to end by it."""

    @property
    def stated(self) -> list[Manifest]:
        """The manifests that there are."""
        return [manifest for manifest in self.manifests if manifest is not None]

    @property
    def as_of(self) -> int | None:
        """What the files speak for; raises LoadRefused where they or the caller disagree."""
        given = {self._files.as_of} | {manifest.as_of_ms for manifest in self.stated}
        times = sorted(ms for ms in given if ms is not None)
        if len(times) > 1 and times[0] != times[-1]:
            stated = ", ".join(map(format_ms, times))
            raise LoadRefused(f"--as-of and the manifests disagree: {stated}")
        return times[0] if times else None

    @property
    def lists(self) -> tuple[str, ...]:
        """The lists that the snapshot is of, if anybody says so."""
        stated = {trimmed(name) for manifest in self.stated for name in manifest.lists or ()}
        named = tuple(map(trimmed, self._files.lists))
        if named and stated - set(named):
            raise LoadRefused(f"the manifest is of other lists too: {', '.join(sorted(stated))}")
        return named or tuple(sorted(stated))

    @property
    def may_be_empty(self) -> bool:
        """Whether the manifests say that there are no rows."""
        return bool(self.stated) and all(manifest.rows == 0 for manifest in self.stated)

    @property
    def read(self) -> tuple[LoadedFile, ...]:
        """The files as they go on record; asked for after the pieces."""
        return self._on_record(self._sha256)

    def hashed(self) -> tuple[LoadedFile, ...]:
        """The files as they go on record, unread; none where one cannot be read again."""
        hashes = []
        for path, manifest in zip(self.paths, self.manifests, strict=True):
            if not Path(path).is_file():
                return ()
            try:
                with Path(path).open("rb") as file:
                    hashes.append(hashlib.file_digest(file, "sha256").hexdigest())
            except OSError as exc:
                raise LoadRefused(f"{path}: {exc.strerror}") from exc
            if manifest is not None and (manifest.sha256 or hashes[-1]).lower() != hashes[-1]:
                return ()
        return self._on_record(hashes)

    def _on_record(self, hashes: Sequence[str]) -> tuple[LoadedFile, ...]:
        """Each file, or very many as if they were one."""
        paths, read_as = self.paths, (self._files.format, self._files.encoding)
        if len(paths) > _FILES_MAX:
            together = hashlib.sha256("".join(sorted(hashes)).encode()).digest()
            return (LoadedFile(f"{len(paths)} files", together, *read_as),)
        return tuple(
            LoadedFile(Path(path).name[:_NAME_MAX], bytes.fromhex(digest), *read_as)
            for path, digest in zip(paths, hashes, strict=True)
        )

    def pieces(self, progress: Callable[[int], None]) -> Iterator[Piece]:
        """The files' blocks; `progress` is told how many bytes are read. Raises LoadRefused."""
        names = self.lists
        default = names[0] if len(names) == 1 else None
        read_as = self._files.encoding, self._files.format
        options = SourceOptions(*read_as, listed=default is not None)
        self._sha256.clear()
        self.unended.clear()
        read_before, last = 0, b"\n"
        for index, path in enumerate(self.paths):
            with _naming(path), Source(path, options) as source:
                self.hints |= {path: source.hint} if source.hint else {}
                for block in source.blocks():
                    yield Piece(index, path, source.layout, default, block)
                    progress(read_before + source.stream.read_bytes)
                    last = block.data[-1:]
                if source.layout.form == "csv" and last not in {b"\n", b"\r"}:
                    name = _name(path)
                    self.unended.append(f"the last line of {name} has no end: was the file cut?")
                self._sha256.append(source.sha256())
                read_before += source.stream.read_bytes

    def check_again(self) -> None:
        """All of the files can be read once more; raises LoadRefused."""
        paths = self.paths
        pipes = [path for path in paths if path == STDIN or not Path(path).is_file()]
        if pipes:
            raise LoadRefused(
                f"{_name(pipes[0])}: two new courts' names look alike to us, so the rows have to "
                "be read a second time, and this can be read only once: save it as a file, and "
                "load that"
            )

    def check(self, found: ScatterResult) -> None:
        """The files are those that the manifests speak of; raises LoadRefused."""
        for index, manifest in enumerate(self.manifests):
            if manifest is not None:
                self._check(self.paths[index], manifest, found.rows[index], index)

    def digest(self) -> int | None:
        """What the manifests state of the lists' digests together, where all of them do."""
        digests = [manifest.digest for manifest in self.stated if manifest.digest is not None]
        if len(digests) < len(self.manifests):
            return None
        total = 0
        for digest in digests:
            total ^= int(digest, 16)
        return total

    def _check(self, path: str, manifest: Manifest, rows: int, index: int) -> None:
        sha256 = self._sha256[index]
        if manifest.sha256 is not None and manifest.sha256.lower() != sha256:
            raise LoadRefused(
                f"{path}: its SHA-256 is {sha256}, the manifest states {manifest.sha256.lower()}"
            )
        if manifest.rows is not None and manifest.rows != rows:
            raise LoadRefused(f"{path} has {rows} rows, the manifest states {manifest.rows}")


@contextmanager
def _naming(path: str) -> Iterator[None]:
    """What is refused says which file it is about."""
    try:
        yield
    except LoadRefused as exc:
        raise LoadRefused(f"{_name(path)}: {exc}") from exc


def _name(path: str) -> str:
    return "standard input" if path == STDIN else path


def check_outputs(inputs: Sequence[str], outputs: Sequence[Path | None]) -> None:
    """No output is an input, or a manifest or a signature of one, or another output: WrongUsage.

    By whatever name: a link to a file is the file.
    """
    taken = {_identity(place): path for path in inputs for place in _beside(path)}
    for output in filter(None, outputs):
        one = _identity(output)
        if one in taken:
            raise WrongUsage(
                f"{output} would be written, and is an input ({taken[one]}): nothing was done"
            )
        taken[one] = f"{output} too"


def _beside(path: str) -> tuple[Path | int, ...]:
    if path == STDIN:
        return (0,)
    return Path(path), manifest_path(path), signature_path(path)


def _identity(place: Path | int) -> tuple[int, int] | str:
    """What a file is, whichever of its names is used; a name where there is no file yet."""
    try:
        found = os.stat(place)  # noqa: PTH116 -- of a descriptor, too
    except OSError:
        return os.path.realpath(place) if isinstance(place, Path) else ""
    return found.st_dev, found.st_ino


def total_bytes(paths: Sequence[str]) -> int | None:
    """The files' size together; None where one is standard input or not there."""
    try:
        return None if STDIN in paths else sum(Path(path).stat().st_size for path in paths)
    except OSError:
        return None
