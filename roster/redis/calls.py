"""What is sent to Redis: function calls, plain commands, and what makes a change safe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from redis.crc import key_slot

from roster import keys
from roster.redis.library import library

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
    """One function call on one partition; without a function, all of one hash."""

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
        if not self.function:
            return ("HGETALL", *self.keys, *self.args)
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


def whatever_memory(command: tuple[Any, ...]) -> tuple[Any, ...]:
    """The command in a script that the server also runs where its memory is full."""
    name, *rest = command
    return ("EVAL", _ALWAYS, 1, rest[0], name, *rest[1:]) if name in _SPENDING else command
