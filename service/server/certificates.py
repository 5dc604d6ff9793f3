"""Fingerprints of client certificates, to which an API key may be bound."""

from __future__ import annotations

import hashlib
import ssl
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def fingerprint(certificate: bytes) -> str:
    """The SHA-256 of a certificate in DER, in hexadecimal."""
    return hashlib.sha256(certificate).hexdigest()


def fingerprint_of_file(path: Path) -> str:
    """The fingerprint of a file in PEM or DER; raises OSError, and ValueError for others."""
    data = path.read_bytes()
    if data.lstrip().startswith(b"-----BEGIN"):
        data = ssl.PEM_cert_to_DER_cert(data.decode("ascii").strip())
    elif not data.startswith(b"\x30"):  # a certificate is a SEQUENCE
        raise ValueError("not a certificate")
    return fingerprint(data)
