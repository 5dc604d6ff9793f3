"""Every error that a caller may have to tell apart.

ClearwayError
├── SettingsError      a setting is unknown, missing or has a bad value
├── ListsError         lists.toml is wrong, with the line
├── InvalidInput       a document, a change or a check is invalid: which field, and why
├── InvalidBody        several parts of a request are invalid: each field, and why
├── PositionError      a position is not one that we handed out
├── LogTrimmed         a position is older than the log: where to start instead
├── Unauthorised       no API key, or one that is unknown, expired or revoked
├── Forbidden          the API key lacks a scope: which
├── TooMany            the API key's rate, or this process, is used up: when to come back
├── BodyTooLarge       a request's body is longer than any that we read
├── Unavailable        Redis did not answer in time, or refused
├── Unreadable         what is stored of a person is damaged, or of a newer version
├── NotDurable         a change is applied, but not yet safe
├── WrongKey           the roster was loaded with another ID key or scheme
├── WrongUsage         a command's options do not say what they must, or say what cannot be
├── LoadRefused        a file must not be loaded: the reason, with numbers
├── PushRefused        the service refused changes as a whole
├── ServerUnfit        the Redis server lacks something that Clearway promises
└── EmbeddedError      the embedded server cannot be found or started

No message ever holds an ID number or a name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class ClearwayError(Exception):
    """The base of all of Clearway's errors.

    `revisions` are what to send with changes that were not acknowledged, one for each change
    of the request, 0 for one that is rejected.
    """

    revisions: tuple[int, ...] = ()


class SettingsError(ClearwayError):
    """A setting is unknown, missing or has a bad value; the message names it."""


class ListsError(ClearwayError):
    """`lists.toml` is wrong; the message gives file and line."""


class InvalidInput(ClearwayError):  # noqa: N818 -- it says what the input is, not what we do
    """A part of what was sent is invalid; `field` is its path, such as `document.number`.

    `faults` are this one and what else is wrong with the same part, each a field and a reason.
    """

    def __init__(self, field: str, message: str, *beside: tuple[str, str]) -> None:
        """Keep them; none ever holds what was sent."""
        self.field = field
        self.message = message
        self.faults = ((field, message), *beside)
        super().__init__("; ".join(map(": ".join, self.faults)))


class InvalidBody(ClearwayError):  # noqa: N818 -- it says what the body is, not what we do
    """Parts of a request are invalid; `faults` are all of them, each a field and a reason."""

    def __init__(self, faults: Sequence[tuple[str, str]]) -> None:
        """None of them ever holds what was sent."""
        super().__init__("; ".join(": ".join(filter(None, fault)) for fault in faults))
        self.faults = tuple(faults)


class PositionError(ClearwayError):
    """A position is not one that we handed out."""


class LogTrimmed(ClearwayError):  # noqa: N818 -- the log's own word
    """A position is older than what the log still holds; `oldest` is where to start."""

    def __init__(self, oldest: str) -> None:
        """`oldest` is a position to go on from."""
        super().__init__("the log no longer reaches back to this position")
        self.oldest = oldest


class Unauthorised(ClearwayError):  # noqa: N818 -- the word of the HTTP status it becomes
    """There is no API key, or it is unknown, expired or revoked; never says which."""


class Forbidden(ClearwayError):  # noqa: N818 -- the word of the HTTP status it becomes
    """The API key lacks `scope`."""

    def __init__(self, scope: str, why: str = "") -> None:
        """`scope` is what the key would need, such as `list:add@sx`."""
        super().__init__(why or f"this key lacks the scope {scope}")
        self.scope = scope


class TooMany(ClearwayError):  # noqa: N818 -- the words of the HTTP status it becomes
    """More is asked than the API key's rate, or this process, allows; come back later."""

    def __init__(self, retry_after_ms: int, why: str = "this key has used up its rate") -> None:
        """`retry_after_ms` counts from now."""
        super().__init__(why)
        self.retry_after_ms = retry_after_ms


class BodyTooLarge(ClearwayError):  # noqa: N818 -- a fact about the body, not a fault of ours
    """A request's body is longer than any that we read."""


class Unavailable(ClearwayError):  # noqa: N818 -- the word of the HTTP status it becomes
    """Redis did not answer in time, or refused; `cause` says which server, and why.

    The cause is for operators: it names addresses, which callers have no business with. `code` is
    why in a word: Redis' own (`NOAUTH`), the system's (`ECONNREFUSED`), or `timeout`, `tls`,
    `name`, `closed`, `password`; empty where there is none.
    """

    def __init__(self, message: str, cause: str = "", code: str = "") -> None:
        """Keep them; none ever holds what was sent."""
        super().__init__(message)
        self.cause = cause
        self.code = code


class Unreadable(ClearwayError):  # noqa: N818 -- a fact about what is stored
    """What the roster holds of one person cannot be read; nobody else is concerned."""


def cause_of(exc: Exception) -> str:
    """Which server did not answer, and why, where that is known; else what the error says.

    For a log and for commands, not for callers.
    """
    return exc.cause if isinstance(exc, Unavailable) and exc.cause else str(exc)


class NotDurable(ClearwayError):  # noqa: N818 -- a fact about the change, not a fault
    """Changes are applied but not yet known to be safe; sending them again is harmless."""


class WrongKey(ClearwayError):  # noqa: N818 -- the condition's own name in /readyz
    """The roster was loaded with another ID key or another scheme of the normal form."""


class LoadRefused(ClearwayError):  # noqa: N818 -- the loader's own word
    """A file must not be loaded; nothing was changed."""


class WrongUsage(ClearwayError):  # noqa: N818 -- what the command line calls it
    """A command's options do not say what they must, or say what cannot be; nothing was done."""


class PushRefused(ClearwayError):  # noqa: N818 -- what the service did
    """The service refused changes as a whole; the message says why."""


class ServerUnfit(ClearwayError):  # noqa: N818 -- the start-up check's own word
    """The Redis server lacks something that Clearway promises; the message names it."""


class EmbeddedError(ClearwayError):
    """The embedded server cannot be found, started or shared."""
