"""The embedded server's files: where they are, and what it is told in them."""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from pathlib import Path

from roster.errors import EmbeddedError
from roster.redis.requirements import LISTPACK_ENTRIES, LISTPACK_VALUE_BYTES

SOCKET_MAX_BYTES = 107
"""Of `sun_path`'s 108 the last is a zero (unix(7))."""

REWRITE, REWRITE_USUALLY = "auto-aof-rewrite-percentage", "100"
"""When the server rewrites its log by itself: at every doubling, Valkey's default. A load
suspends that, for it would cost a third of a first load."""

REWRITE_BUSY_BYTES = 256 << 20
"""A smaller log is never rewritten in a busy moment: half a second of a core and of the disk,
for which changes waited 0.3 s at 5,000 a second. Reading that much takes about 3 s."""

_LOG_MAX_BYTES = 1 << 20
_TAIL_MAX_BYTES = 1 << 16
_TAIL_LINES = 6
_PRINTABLE = frozenset(range(0x20, 0x7F)) - set(b'"\\')


def private_folder(folder: Path) -> Path:
    """The folder's real path; made for us alone if it is not there. Raises EmbeddedError."""
    try:
        folder.expanduser().mkdir(mode=0o700, parents=True, exist_ok=True)
        real = folder.expanduser().resolve(strict=True)
    except OSError as exc:
        raise EmbeddedError(f"the data folder {folder} cannot be made: {exc.strerror}") from exc
    if not os.access(real, os.W_OK | os.X_OK):
        raise EmbeddedError(f"the data folder {folder} is not writable")
    return real


def socket_path(folder: Path) -> Path:
    """The server's socket: in the data folder, or a short path elsewhere if that is too long.

    Where elsewhere is depends on TMPDIR, so whoever starts the server writes it down; a note
    that was copied along with another folder's data is ignored.
    """
    inside = folder / "valkey.sock"
    if _fits(inside):
        return inside
    name = f"clearway-{hashlib.blake2b(os.fsencode(folder), digest_size=8).hexdigest()}"
    noted = _noted(folder)
    if noted is not None and noted.parent.name == name:
        return noted
    return _short_path(name)


def prepare_socket(folder: Path) -> Path:
    """The socket made ready for a server to listen on; EmbeddedError where others could come."""
    path = socket_path(folder)
    if path.parent == folder:
        return path
    path.parent.mkdir(mode=0o700, exist_ok=True)
    status = path.parent.lstat()
    ours = stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid()
    if not ours or status.st_mode & 0o077:
        raise EmbeddedError(f"{path.parent} is not a folder of ours alone; remove it")
    (folder / "valkey.address").write_bytes(os.fsencode(path))
    return path


def _fits(path: Path) -> bool:
    return len(os.fsencode(path)) <= SOCKET_MAX_BYTES


def _noted(folder: Path) -> Path | None:
    try:
        return Path(os.fsdecode((folder / "valkey.address").read_bytes()))
    except FileNotFoundError:
        return None


def _short_path(name: str) -> Path:
    for parent in (tempfile.gettempdir(), "/tmp"):  # noqa: S108 -- the folder in it is checked
        path = Path(parent) / name / "valkey.sock"
        if _fits(path):
            return path
    raise EmbeddedError("there is no path short enough for the embedded server's socket")


def write_configuration(folder: Path, socket: Path) -> Path:
    """The configuration file, written anew; Redis 7.0 and every Valkey read it."""
    settings: dict[str, str | Path] = {
        "port": "0",
        "unixsocket": socket,
        "unixsocketperm": "700",
        "dir": folder,
        "pidfile": folder / "valkey.pid",
        "logfile": log_file(folder),
        "loglevel": "notice",
        "daemonize": "no",
        "databases": "1",
        "save": "",
        "rdbcompression": "no",  # it saves an eighth, and doubles the time of a start
        "appendonly": "yes",
        "appendfsync": "always",
        REWRITE: REWRITE_USUALLY,
        "auto-aof-rewrite-min-size": str(REWRITE_BUSY_BYTES),
        "maxmemory-policy": "noeviction",
        "hash-max-listpack-entries": str(LISTPACK_ENTRIES),
        "hash-max-listpack-value": str(LISTPACK_VALUE_BYTES),
    }
    lines = [b"# Clearway writes this file at every start of the server"]
    lines += [name.encode() + b" " + _quoted(value) for name, value in settings.items()]
    path = folder / "valkey.conf"
    path.write_bytes(b"\n".join(lines) + b"\n")
    return path


def _quoted(value: str | Path) -> bytes:
    """A value as Redis reads it whatever bytes a path has, UTF-8 or not."""
    octets = os.fsencode(value)
    inner = b"".join(bytes([o]) if o in _PRINTABLE else b"\\x%02x" % o for o in octets)
    return b'"' + inner + b'"'


def log_file(folder: Path) -> Path:
    """The server's own log."""
    return folder / "valkey.log"


def open_log(folder: Path) -> int:
    """A descriptor to append to the log by; one over 1 MiB is put aside first."""
    path = log_file(folder)
    if path.exists() and path.stat().st_size > _LOG_MAX_BYTES:
        path.replace(path.with_suffix(".log.1"))
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def log_tail(folder: Path) -> str:
    """The log's last lines on one line; a crash report is left out, it quotes commands."""
    try:
        text = log_file(folder).read_bytes()[-_TAIL_MAX_BYTES:].decode("utf-8", "replace")
    except FileNotFoundError:
        return ""
    lines = text.partition("BUG REPORT START")[0].splitlines()
    return " | ".join(line.strip() for line in lines[-_TAIL_LINES:] if line.strip())
