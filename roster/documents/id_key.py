"""The ID key: given by the environment, or made once for an embedded server."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from roster.documents.tokeniser import KEY_BYTES
from roster.errors import SettingsError

FILE_NAME = "id-key"


class KeySource(msgspec.Struct, frozen=True):
    """What the settings say about the key; `data_dir` only where the server is embedded."""

    key: str | None = None
    key_file: str | None = None
    data_dir: Path | None = None

    def __repr__(self) -> str:
        """A name without the key, fit for a log."""
        return "<ID key>"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """No fields, for rich's tracebacks."""
        return []


def read_or_make(source: KeySource) -> bytes:
    """The key's 32 bytes; raises SettingsError where it is missing, given twice or no key.

    With an embedded server and no key given, it lies in the data folder, made at first use:
    whoever loses that file has to load the roster again.
    """
    if source.key and source.key_file:
        raise SettingsError("CLEARWAY_ID_KEY and CLEARWAY_ID_KEY_FILE are both set: one is enough")
    if source.key:
        return _parse(source.key, "CLEARWAY_ID_KEY")
    if source.key_file:
        return _parse(_read(Path(source.key_file)), "CLEARWAY_ID_KEY_FILE")
    if source.data_dir is None:
        raise SettingsError(
            "CLEARWAY_ID_KEY or CLEARWAY_ID_KEY_FILE is required with CLEARWAY_REDIS_URL: "
            f"{KEY_BYTES} bytes in hexadecimal, such as `openssl rand -hex {KEY_BYTES}` prints"
        )
    path = source.data_dir.expanduser() / FILE_NAME
    if not path.exists():
        _make(path)
    return _parse(_read(path), str(path))


def _make(path: Path) -> None:
    """A new key; of two commands that make one at once, one wins and both use it."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = path.with_name(f"{FILE_NAME}.{secrets.token_hex(8)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(KEY_BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(draft, path)
        draft.unlink()
    except OSError as exc:
        raise SettingsError(f"the ID key {path} cannot be written: {exc.strerror}") from exc


def _read(path: Path) -> str:
    try:
        return path.expanduser().read_text("ascii")
    except OSError as exc:
        raise SettingsError(f"the ID key {path} cannot be read: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise SettingsError(f"{path} is not {KEY_BYTES} bytes in hexadecimal") from exc


def _parse(text: str, name: str) -> bytes:
    """The key of its hexadecimal text; the message never repeats it."""
    try:
        key = bytes.fromhex(text.strip())
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise SettingsError(f"{name} is not {KEY_BYTES} bytes in hexadecimal")
    return key
