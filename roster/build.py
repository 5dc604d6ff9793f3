"""Which build of Clearway a process runs: its version, and a hash of its code.

Two processes that say the same run the same code, whatever was installed since.
"""

from __future__ import annotations

from functools import cache
from hashlib import blake2s
from importlib import resources
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("roster", "service")
_KINDS = frozenset({".py", ".lua", ".toml"})
_HASH_BYTES = 6


@cache
def build() -> str:
    """The version and the hash, such as `0.1.0+5f2c81d09ab3`; read once, as a process starts."""
    found = blake2s(digest_size=_HASH_BYTES)
    for package in PACKAGES:
        for path in sorted(Path(str(resources.files(package))).rglob("*")):
            if path.suffix in _KINDS:
                found.update(path.name.encode() + b"\0" + path.read_bytes())
    return f"{_version()}+{found.hexdigest()}"


def _version() -> str:
    try:
        return version("clearway")
    except PackageNotFoundError:  # run from a checkout that is not installed
        return "0"
