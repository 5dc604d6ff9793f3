"""A lease on one key: at most one holder at a time, and none for long after its death."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from roster.errors import ClearwayError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from roster.redis.nodes import Nodes


_BEATS = 6
"""In the time that a lease lasts: one that is late, or not answered, loses nothing."""
_PAUSE_S = 0.02


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
        """Free the lease, unless somebody else has it by now."""
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


class HeartbeatLease:
    """A lease that a thread of its own renews, whatever else its process is busy with."""

    def __init__(self, nodes: Nodes, key: str, ttl_ms: int) -> None:
        """`nodes` are for the lease alone, and closed with it."""
        self._nodes = nodes
        self._lease = Lease(nodes, key, ttl_ms)
        self._ttl_s = ttl_ms / 1000
        self._runner = asyncio.Runner()
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self._ended = threading.Event()
        self._beating = threading.Lock()
        self._safe_until_s = 0.0
        self._lost = False

    def take(self) -> Holder | None:
        """None where the lease is ours until `close`, else who holds it."""
        until_s = time.monotonic() + self._ttl_s
        holder = self._runner.run(self._lease.take())
        if holder is None:
            self._safe_until_s = until_s
            self._thread.start()
        return holder

    @contextmanager
    def at_rest(self) -> Iterator[None]:
        """Within, its thread does nothing: the process may be copied."""
        with self._beating:
            yield

    def held(self) -> bool:
        """Whether it is ours; where it may have run out, once the server has said so."""
        while not self._lost and self._thread.is_alive() and self._overdue():
            time.sleep(_PAUSE_S)
        return not self._lost and self._thread.is_alive()

    def close(self) -> None:
        """Free it, unless somebody else has it by now.

        Raises Unavailable where no server says so: then it passes on by itself.
        """
        self._ended.set()
        if self._thread.ident is not None:
            self._thread.join()
        try:
            self._runner.run(self._lease.give_back())
        finally:
            self._runner.run(self._nodes.close())
            self._runner.close()

    def _overdue(self) -> bool:
        return time.monotonic() > self._safe_until_s

    def _beat(self) -> None:
        while not self._lost and not self._ended.wait(self._ttl_s / _BEATS):
            with self._beating:
                self._renew()

    def _renew(self) -> None:
        until_s = time.monotonic() + self._ttl_s
        try:
            self._lost = not self._runner.run(self._lease.renew())
            self._safe_until_s = until_s
        except ClearwayError:
            self._lost = self._overdue()


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
