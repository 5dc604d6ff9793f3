"""What is sent to Redis: our library and calls of it, plain commands, what makes a change safe.

The library is named by its content, so that versions live side by side. Two versions with one
name would replace each other for as long as both run, and a new version's code would wait for
the last process of the old one. So the library and each of its functions carry a hash of the
code: what a process calls is what it brought with it.
"""

from __future__ import annotations

from functools import cache
from hashlib import blake2s
from importlib import resources
from typing import TYPE_CHECKING, Any, NamedTuple

from redis.crc import key_slot

from roster import keys

if TYPE_CHECKING:
    from collections.abc import Sequence


SLOTS = tuple(key_slot(key.encode()) for key in keys.META)
"""The slot of every partition's keys."""
LISTED_TIMEOUT_MS = 500
"""Replicas have a listing within milliseconds, or are too late for a poll."""

_SPENDING = frozenset({"SET", "HSET", "HSETNX", "HINCRBY"})
_ALWAYS = """#!lua flags=allow-oom
return redis.call(ARGV[1], KEYS[1], unpack(ARGV, 2))
"""


class Call(NamedTuple):
    """One function call on one partition."""

    partition: int
    function: str
    keys: Sequence[str]
    args: Sequence[bytes | str | int]

    @property
    def slot(self) -> int:
        """The slot of its keys."""
        return SLOTS[self.partition]

    def command(self) -> tuple[Any, ...]:
        """The call as Redis takes it."""
        name = self.function + library().suffix
        return ("FCALL", name, len(self.keys), *self.keys, *self.args)


class Plain(NamedTuple):
    """A plain command on one key, to go among function calls."""

    key: str
    words: tuple[Any, ...]

    @property
    def slot(self) -> int:
        """The slot of its key."""
        return key_slot(self.key.encode())

    def command(self) -> tuple[Any, ...]:
        """The command as Redis takes it."""
        return self.words


class Wait(NamedTuple):
    """What must hold before a change counts as safe; `aof` where the server has WAITAOF."""

    aof: bool
    replicas: int
    timeout_ms: int

    def commands(self) -> list[tuple[Any, ...]]:
        """The commands to send behind the changes, on the same connection."""
        waits: list[tuple[Any, ...]] = []
        if self.aof:
            waits.append(("WAITAOF", 1, 0, self.timeout_ms))
        if self.replicas:
            waits.append(("WAIT", self.replicas, self.timeout_ms))
        return waits

    def holds(self, replies: Sequence[Any]) -> bool:
        """Whether the commands' replies say that the changes are safe."""
        left = list(replies)
        local = left.pop(0)[0] if self.aof else 1
        replicas = left.pop(0) if self.replicas else 0
        return local >= 1 and replicas >= self.replicas


class Listing(NamedTuple):
    """Commands that list a process, and how many replicas must have them for it to count."""

    commands: Sequence[Plain]
    replicas: int

    @property
    def wait(self) -> Wait | None:
        """What makes it as safe as a change is; nothing where there is nothing to wait for."""
        if not self.commands or not self.replicas:
            return None
        return Wait(aof=False, replicas=self.replicas, timeout_ms=LISTED_TIMEOUT_MS)


NOWHERE = Listing((), 0)


def pairs(flat: list[bytes]) -> dict[bytes, bytes]:
    """A hash as RESP2 gives it, flat, as a dict."""
    return dict(zip(flat[::2], flat[1::2], strict=True))


def whatever_memory(command: tuple[Any, ...]) -> tuple[Any, ...]:
    """The command in a script that the server also runs where its memory is full."""
    name, *rest = command
    return ("EVAL", _ALWAYS, 1, rest[0], name, *rest[1:]) if name in _SPENDING else command


SHARED = (
    "head",
    "bytes",
    "records",
    "law",
    "counts",
    "partition",
    "log",
    "histories",
    "rewinds",
    "floors",
    "seals",
    "rows",
    "buckets",
)
"""The files of roster/lua/ in the order in which they are joined: each after those it calls."""
CLOSED = ("changes", "snapshots", "merges", "reads", "forgetting", "audit")
"""Those that no other calls. Each is a block of its own: Lua has 200 local names at a time."""
PREFIX = "clearway_"
_FIRST_LINE = "#!lua name=clearway\n"
_VERSION = "local VERSION = ''"
HASH_BYTES = 6


class Library(NamedTuple):
    """The library's name, what its functions' names end with, and the code to load."""

    name: str
    suffix: str
    code: str


def library_of(text: str) -> Library:
    """The library that this code becomes; raises ValueError where it has no place for a name."""
    if not text.startswith(_FIRST_LINE) or text.count(_VERSION) != 1:
        raise ValueError("the library's first line or its VERSION is not as it should be")
    suffix = blake2s(text.encode(), digest_size=HASH_BYTES).hexdigest()
    name = PREFIX + suffix
    code = text.replace(_FIRST_LINE, f"#!lua name={name}\n", 1)
    return Library(name, f"_{suffix}", code.replace(_VERSION, f"local VERSION = '_{suffix}'"))


@cache
def library() -> Library:
    """The library that this version of Clearway calls."""
    folder = resources.files("roster").joinpath("lua")
    read = {name: folder.joinpath(f"{name}.lua").read_text("utf-8") for name in SHARED + CLOSED}
    blocks = [f"do\n{read[name]}end\n" for name in CLOSED]
    return library_of("\n".join([*(read[name] for name in SHARED), *blocks]))
