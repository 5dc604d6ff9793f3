"""A lease on one key: at most one holder at a time, and none for long after its death."""

from __future__ import annotations

import os
import secrets
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from roster.nodes import Nodes


class Holder(msgspec.Struct, frozen=True):
    """Who holds a lease: a process by host, id and start (clock ticks after boot)."""

    host: str
    pid: int
    started: str
    nonce: str

    @property
    def dead(self) -> bool:
        """Whether it ran on this host and is certainly gone."""
        return self.host == _host() and _started(self.pid) != self.started


class Lease:
    """One attempt to hold a key; `ttl_ms` after the last renewal somebody else may have it."""

    def __init__(self, nodes: Nodes, key: str, ttl_ms: int) -> None:
        """Nothing is held yet: see `take`."""
        self._nodes = nodes
        self._key = key
        self._ttl_ms = ttl_ms
        self.holder = Holder(_host(), os.getpid(), _started(os.getpid()), secrets.token_hex(16))
        self._value = msgspec.json.encode(self.holder)

    async def take(self) -> Holder | None:
        """None where the lease is ours now, else who holds it; a dead holder's is taken over."""
        known = await self._set()
        if known is None:
            return None
        holder = _parse(known)
        if holder.dead:
            await self._compare_and("DEL", known)
            known = await self._set()
        return None if known is None else _parse(known)

    async def renew(self) -> bool:
        """Whether it is still ours, for another `ttl_ms`."""
        return await self._compare_and("PEXPIRE", self._value)

    async def give_back(self) -> None:
        """Nothing; the lease is free, unless somebody else has it by now."""
        await self._compare_and("DEL", self._value)

    async def _set(self) -> bytes | None:
        """Take it where it is free; else what the holder wrote."""
        taken, known = await self._nodes.keyed(
            self._key,
            [("SET", self._key, self._value, "NX", "PX", self._ttl_ms), ("GET", self._key)],
        )
        return None if taken or known == self._value else bytes(known or b"{}")

    async def _compare_and(self, what: str, value: bytes) -> bool:
        """Do it where the key holds this value, in one step."""
        code = (
            "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end "
            "if ARGV[2] == 'DEL' then return redis.call('DEL', KEYS[1]) end "
            "return redis.call('PEXPIRE', KEYS[1], ARGV[3])"
        )
        (done,) = await self._nodes.keyed(
            self._key, [("EVAL", code, 1, self._key, value, what, self._ttl_ms)]
        )
        return bool(done)


def held(value: bytes | None) -> bool:
    """Whether who wrote this into a lease's key may be alive still."""
    return value is not None and not _parse(value).dead


def _parse(value: bytes) -> Holder:
    try:
        return msgspec.json.decode(value, type=Holder)
    except msgspec.DecodeError:
        return Holder("somewhere", 0, "", "")


def _host() -> str:
    return socket.gethostname()


def _started(pid: int) -> str:
    """When a process of this host started; nothing where there is none (proc(5), field 22)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[19]
