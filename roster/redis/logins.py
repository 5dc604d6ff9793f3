"""With which user and password a server is greeted, and what its refusal of them means."""

from __future__ import annotations

import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import redis.exceptions
from redis.credentials import CredentialProvider

from roster.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from roster.redis.target import Target

WRONG = "it said WRONGPASS: it takes no such user and password"
_SAID = {
    "NOAUTH": "it said NOAUTH: it wants a user and a password, and was given none",
    "WRONGPASS": WRONG,
}
NOT_ALLOWED = "it said NOPERM"
_IN_A_SCRIPT = re.compile(r"ACL failure in script|The user executing the script can't")
_COMMAND = re.compile(r"'([a-z_]+(?:\|[a-z_-]+)?)' command")
_KIND = re.compile(r"access (?:a|one|at least one) (?:of the )?(key|channel)")
_PASSWORD_MAX_BYTES = 4_096


class NoPassword(redis.exceptions.AuthenticationError):
    """The password file cannot be used; says why, and nothing of what is in it."""


class PasswordFile(CredentialProvider):
    """A user whose password is read from a file for each connection: it may be changed there."""

    def __init__(self, username: str | None, path: str) -> None:
        """Nothing is read yet."""
        self._username = username
        self._path = Path(path)

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        """User and password as AUTH takes them; raises NoPassword."""
        password = _read(self._path)
        return (self._username, password) if self._username else (password,)

    async def get_credentials_async(self) -> tuple[str] | tuple[str, str]:
        """The same."""
        return self.get_credentials()


def login(target: Target) -> dict[str, Any]:
    """What redis-py has to be told of a target's user and password."""
    if target.password_file:
        return {"credential_provider": PasswordFile(target.username, target.password_file)}
    return {"username": target.username, "password": target.password}


def refused(code: str, text: str) -> Unavailable | None:
    """Our error for a server's that speaks of the user and his rights; None for any other.

    The server's own text names the user: only a command's name is taken from it.
    """
    if code in _SAID:
        return Unavailable(f"Redis refused: {code}", _SAID[code], code)
    if code != "NOPERM" and not _IN_A_SCRIPT.search(text):
        return None
    command, kind = _COMMAND.search(text), _KIND.search(text)
    what = (
        f"do '{command[1]}'" if command else f"use a {kind[1]} there" if kind else "do this there"
    )
    why = f"{NOT_ALLOWED}: this user may not {what} (docs/operations.md, Users of Redis)"
    return Unavailable("Redis refused: NOPERM", why, "NOPERM")


@contextmanager
def loading() -> Iterator[None]:
    """Within, a user who may not load functions is told what to do."""
    try:
        yield
    except Unavailable as exc:
        if not isinstance(exc.__cause__, redis.exceptions.NoPermissionError):
            raise
        where = exc.cause.partition(f": {NOT_ALLOWED}")[0]
        cause = f"{where}: this user may not load them: run `clearway functions` as one who may"
        raise Unavailable("Redis lacks this version's functions", cause, exc.code) from exc


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(_PASSWORD_MAX_BYTES + 1)
    except OSError as exc:
        raise NoPassword(f"the password file {path} cannot be read: {exc.strerror}") from None
    lines = data.decode("utf-8", "replace").split("\n")
    if len(data) > _PASSWORD_MAX_BYTES or any(lines[1:]) or not lines[0].strip("\r"):
        raise NoPassword(f"the password file {path} must hold the password alone, on one line")
    return lines[0].strip("\r")
