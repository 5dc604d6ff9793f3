"""What a source states about its file in `FILE.manifest.json`, and its Ed25519 signature."""

from __future__ import annotations

import base64
import binascii
import os
from pathlib import Path
from typing import Annotated

import msgspec
from cryptography.exceptions import InternalError, InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from roster.errors import LoadRefused
from roster.times import parse_time

SIGNATURE_BYTES = 64
_SUFFIX, _SIGNATURE_SUFFIX = ".manifest.json", ".sig"
_MANIFEST_MAX_BYTES = 1 << 20
_NO_KEY = (ValueError, TypeError, UnsupportedAlgorithm, InternalError)
"""What reading a key of another kind may raise."""


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is stated; `digest` is that of the lists together (`GET /v1/roster`), in hexadecimal."""

    as_of: str | None = None
    lists: tuple[str, ...] | None = None
    rows: Annotated[int, msgspec.Meta(ge=0)] | None = None
    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-fA-F]{64}$")] | None = None
    digest: Annotated[str, msgspec.Meta(pattern="^[0-9a-fA-F]{16}$")] | None = None

    @property
    def as_of_ms(self) -> int | None:
        """The time that the file speaks for; raises LoadRefused where it is none."""
        try:
            return parse_time(self.as_of) if self.as_of is not None else None
        except ValueError as exc:
            raise LoadRefused(f"the manifest's as_of: {exc}") from exc


def manifest_path(path: str) -> Path:
    """Where a file's manifest lies."""
    return Path(path + _SUFFIX)


def signature_path(path: str) -> Path:
    """Where the signature of a file's manifest lies."""
    return Path(path + _SUFFIX + _SIGNATURE_SUFFIX)


def read_manifest(path: str, public_key: Ed25519PublicKey | None) -> Manifest | None:
    """The file's manifest, or None where there is none; raises LoadRefused.

    With a key, there must be one, it must be signed, and it must state the file's SHA-256.
    """
    name = manifest_path(path).name
    data = _read(manifest_path(path))
    if data is None:
        if public_key is not None:
            raise LoadRefused(f"{name} is missing: only signed files are loaded here")
        return None
    if public_key is not None:
        _verify(public_key, data, signature_path(path))
    try:
        manifest = msgspec.json.decode(data, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise LoadRefused(f"{name} is no manifest: {exc}") from exc
    if public_key is not None and manifest.sha256 is None:
        raise LoadRefused(f"{name} states no sha256: its signature says nothing about the file")
    return manifest


def _read(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            data = file.read(_MANIFEST_MAX_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise LoadRefused(f"{path.name} cannot be read: {exc.strerror}") from exc
    if len(data) > _MANIFEST_MAX_BYTES:
        raise LoadRefused(f"{path.name} is longer than 1 MiB")
    return data


def _verify(public_key: Ed25519PublicKey, data: bytes, path: Path) -> None:
    signature = _read(path)
    if signature is None:
        raise LoadRefused(f"{path.name} is missing: only signed files are loaded here")
    try:
        public_key.verify(_raw(signature), data)
    except InvalidSignature as exc:
        raise LoadRefused(f"{path.name} is not a signature by the key that is required") from exc


def _raw(signature: bytes) -> bytes:
    """64 bytes as they are, or in base64."""
    if len(signature) == SIGNATURE_BYTES:
        return signature
    try:
        return base64.b64decode(signature.strip(), validate=True)
    except binascii.Error:
        return b""


def private_key_of(path: Path) -> Ed25519PrivateKey:
    """The key to sign with; raises LoadRefused, whose message repeats nothing of the file."""
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415 -- 0.05 s
        load_pem_private_key,
        load_ssh_private_key,
    )

    try:
        data = path.read_bytes()
        load = load_ssh_private_key if b"OPENSSH" in data else load_pem_private_key
        key = load(data, password=None)
    except OSError as exc:
        raise LoadRefused(f"{path.name}: {exc.strerror}") from exc
    except _NO_KEY:
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise LoadRefused(f"{path.name} is not an Ed25519 private key in PEM, without password")
    return key


def write_signed(path: str, manifest: Manifest, key: Ed25519PrivateKey) -> None:
    """Write manifest and signature beside the file, the manifest last.

    A reader between the two writes sees a signature that does not fit, never a wrong match.
    """
    data = msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"
    _replace(signature_path(path), key.sign(data))
    _replace(manifest_path(path), data)


def _replace(path: Path, data: bytes) -> None:
    partial = path.with_name(path.name + ".partial")
    try:
        partial.write_bytes(data)
        os.replace(partial, path)  # noqa: PTH105 -- the word for what it does
    except OSError as exc:
        raise LoadRefused(f"{path.name} cannot be written: {exc.strerror}") from exc
