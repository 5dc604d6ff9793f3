"""The bytes of a list file, decompressed, with the size and SHA-256 of what lies on disk.

Whatever is wrong with a file as a whole (not there, truncated, damaged, a bomb) is
LoadRefused here, with the reason.
"""

from __future__ import annotations

import hashlib
import io
import lzma
import shutil
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Protocol, Self, cast

import zstandard
from isal import isal_zlib

from loader.files import foreign
from roster.errors import LoadRefused

STDIN = "-"
RATIO_MAX = 200
"""No list of distinct entries compresses better: what does is made to fill a memory."""
RATIO_FREE_BYTES = 64 << 20
_READ_BYTES = 64 << 10
# 4 bytes of zstd may stand for 128 KiB, so it is fed in small pieces: at most 64 MiB come out.
_READ_ZSTD_BYTES = 2 << 10
_ZSTD_WINDOW_MAX_BYTES = 128 << 20
_GZIP_WINDOW = 31  # 15 bits, with a gzip header

_MAGIC = {b"\x1f\x8b": "gz", b"\x28\xb5\x2f\xfd": "zst", b"PK\x03\x04": "zip", b"PAR1": "parquet"}
_SUFFIXES = {".gz": "gz", ".zst": "zst", ".zip": "zip", ".parquet": "parquet"}


_DAMAGE: tuple[type[Exception], ...] = (
    zlib.error, cast("type[Exception]", isal_zlib.error), lzma.LZMAError, zipfile.BadZipFile,
    zstandard.ZstdError, EOFError, ValueError,
)  # fmt: skip
"""What the libraries make of damage; ValueError is a zip's file name that is not UTF-8."""


class _Decompressor(Protocol):
    """What isal's and zstandard's decompressors have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


class _Hashing(io.RawIOBase):
    """A file that remembers the SHA-256 and number of the bytes that were read."""

    def __init__(self, raw: IO[bytes]) -> None:
        self._raw = raw
        self.sha256 = hashlib.sha256()
        self.count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        data = self._raw.read(len(buffer))
        buffer[: len(data)] = data
        self.sha256.update(data)
        self.count += len(data)
        return len(data)


class Stream:
    """One file being read; a context manager."""

    def __init__(self, path: str) -> None:
        """Opens the file, or standard input for `-`; raises LoadRefused."""
        self._file = _open(path)
        self._hashing = _Hashing(self._file)
        self._owned = path != STDIN
        self._hashed = False
        self._spool: IO[bytes] | None = None
        self._raw = io.BufferedReader(self._hashing, _READ_BYTES)
        self.inner_name = "" if path == STDIN else Path(path).name.lower()
        """The file's name without what says how it is compressed."""
        self._name = self.inner_name
        self.kind = self._kind()
        """`gz`, `zst`, `zip`, `parquet`, or nothing for plain text."""
        if self.kind in {"gz", "zst", "zip"}:
            self.inner_name = self.inner_name.removesuffix("." + self.kind)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._spool is not None:
            with suppress(OSError):  # what a full disk did not take is told already
                self._spool.close()
        if self._owned:
            self._file.close()

    def check_name(self) -> None:
        """Raise LoadRefused where the file is not what its name says, or no list."""
        foreign.check_name(self._name, self._raw.peek())

    @property
    def read_bytes(self) -> int:
        """How much of the file was read so far, for progress."""
        return self._hashing.count

    def sha256(self) -> str:
        """Of the whole file, as it lies there; reads what is left of it."""
        while not self._hashed and self._raw.read(_READ_BYTES):
            pass
        self._hashed = True  # from here on the file may be read in any order
        return self._hashing.sha256.hexdigest()

    def chunks(self) -> Iterator[bytes]:
        """The decompressed bytes, in pieces; raises LoadRefused where they break off."""
        read = {"gz": self._gzip, "zst": self._zstd, "zip": self._zip}.get(self.kind, self._plain)
        try:
            yield from self._bounded(read())
        except _DAMAGE as exc:
            raise LoadRefused("the file is truncated or damaged: it does not decompress") from exc
        except OSError as exc:
            raise LoadRefused(f"the file cannot be read: {exc.strerror}") from exc

    def seekable(self) -> IO[bytes]:
        """The whole file for readers that jump about; its SHA-256 is taken on the way."""
        if self._file.seekable():
            self.sha256()
            self._file.seek(0)
            return self._file
        try:
            spool = self._spool = tempfile.TemporaryFile()  # noqa: SIM115 -- closed with the stream
            shutil.copyfileobj(self._raw, spool)
            spool.seek(0)
        except OSError as exc:
            raise LoadRefused(f"the temporary folder cannot be written: {exc.strerror}") from exc
        self._hashed = True
        return spool

    def _kind(self) -> str:
        named = _SUFFIXES.get(Path(self.inner_name).suffix, "")
        if named:
            return named
        head = self._raw.peek(4)[:4]
        return next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), "")

    def _bounded(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        total = 0
        for chunk in chunks:
            total += len(chunk)
            if total > RATIO_FREE_BYTES and total > RATIO_MAX * self._hashing.count:
                raise LoadRefused(f"the file grows more than {RATIO_MAX} times: not a list")
            if chunk:  # a decompressor may swallow some bytes before it gives any
                yield chunk

    def _plain(self) -> Iterator[bytes]:
        while chunk := self._raw.read(_READ_BYTES):
            yield chunk

    def _gzip(self) -> Iterator[bytes]:
        return _members(self._raw, lambda: isal_zlib.decompressobj(_GZIP_WINDOW), _READ_BYTES)

    def _zstd(self) -> Iterator[bytes]:
        context = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_MAX_BYTES)
        return _members(self._raw, context.decompressobj, _READ_ZSTD_BYTES)

    def _zip(self) -> Iterator[bytes]:
        try:
            with zipfile.ZipFile(self.seekable()) as archive:
                foreign.check_archive(archive.namelist())
                files = [info for info in archive.infolist() if _is_file(info)]
                if len(files) != 1:
                    raise LoadRefused(f"the zip holds {len(files)} files: one is wanted")
                self.inner_name = files[0].filename.lower()
                with archive.open(files[0]) as member:
                    while chunk := member.read(_READ_BYTES):
                        yield chunk
        except RuntimeError as exc:  # NotImplementedError is one
            raise LoadRefused("the zip is encrypted, or compressed in a rare way") from exc


def _open(path: str) -> IO[bytes]:
    if path == STDIN:
        return sys.stdin.buffer
    try:
        return Path(path).open("rb", buffering=0)
    except OSError as exc:
        raise LoadRefused(f"the file cannot be opened: {exc.strerror}") from exc


def _is_file(info: zipfile.ZipInfo) -> bool:
    return not info.filename.endswith("/") and not info.filename.startswith("__MACOSX/")


def _members(
    raw: io.BufferedReader[_Hashing], start: Callable[[], _Decompressor], read_bytes: int
) -> Iterator[bytes]:
    """The contents of all members, one after the other; EOFError where the last breaks off."""
    member: _Decompressor | None = start()
    while data := raw.read(read_bytes):
        while data:
            member = member or start()
            yield member.decompress(data)
            if not member.eof:
                break
            # Tapes and some tools fill up with zeros.
            data, member = member.unused_data.lstrip(b"\0"), None
    if member is not None:
        raise EOFError
