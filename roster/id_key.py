"""Keys that settings name: the ID key, else made once when embedded, and that of signatures."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING

from roster.documents.tokeniser import KEY_BYTES
from roster.errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from roster.settings import Settings

FILE_NAME = "id-key"


def read_or_make(settings: Settings, *, embedded: bool) -> bytes:
    """The key's 32 bytes; raises SettingsError where it is missing or no key.

    With an embedded server and no key given, it lies in the data folder, made at first use:
    whoever loses that file has to load the roster again.
    """
    if settings.id_key:
        return _parse(settings.id_key, "CLEARWAY_ID_KEY")
    if settings.id_key_file:
        setting = "CLEARWAY_ID_KEY_FILE"
        return _parse(_read(settings.id_key_file, setting), setting)
    if not embedded:
        raise SettingsError(
            "CLEARWAY_ID_KEY or CLEARWAY_ID_KEY_FILE is required with CLEARWAY_REDIS_URL: "
            f"{KEY_BYTES} bytes in hexadecimal, such as `openssl rand -hex {KEY_BYTES}` prints"
        )
    path = settings.data_dir.expanduser() / FILE_NAME
    if not path.exists():
        _make(path)
    return _parse(_read(path, "the ID key"), str(path))


def public_key_of(path: Path | None) -> Ed25519PublicKey | None:
    """The key that has to have signed every file, if any; raises SettingsError."""
    if path is None:
        return None
    from cryptography.exceptions import InternalError, UnsupportedAlgorithm  # noqa: PLC0415 -- 0.05 s, of every start
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415 -- the same
    from cryptography.hazmat.primitives.serialization import load_pem_public_key  # noqa: PLC0415 -- the same

    try:
        data = path.read_bytes()
        if b"-----" in data:
            key = load_pem_public_key(data)
        else:
            key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(data.decode("ascii").strip()))
    except OSError as exc:
        raise SettingsError(
            f"CLEARWAY_SIGNATURE_KEY_FILE {path} cannot be read: {exc.strerror}"
        ) from exc
    except (ValueError, TypeError, UnsupportedAlgorithm, InternalError):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise SettingsError("CLEARWAY_SIGNATURE_KEY_FILE is not an Ed25519 public key in PEM")
    return key


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


def _read(path: Path, what: str) -> str:
    try:
        return path.expanduser().read_text("ascii")
    except OSError as exc:
        raise SettingsError(f"{what} {path} cannot be read: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise SettingsError(f"{what} {path} is not {KEY_BYTES} bytes in hexadecimal") from exc


def _parse(text: str, name: str) -> bytes:
    """The key of its hexadecimal text; the message never repeats it."""
    try:
        key = bytes.fromhex(text.strip())
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise SettingsError(f"{name} is not {KEY_BYTES} bytes in hexadecimal")
    return key
