"""What a command that speaks to Redis itself says to the audit: a short chain of its own."""

from __future__ import annotations

import getpass
import json
import secrets
import socket
import sys
import time
from typing import TYPE_CHECKING

from roster.errors import Unavailable
from roster.records.audited import ChainClosed, Written, written
from roster.records.blocks import Chain
from roster.storage.audit import Sealed, write
from roster.times import format_ms

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from roster.records.audited import AuditRecord
    from roster.redis.nodes import Nodes

TRIES = 3
_LONGEST_NAME = 128
HOME = 0
"""The partition of what is about nobody."""


class Account:
    """The chain of one run of a command."""

    def __init__(self, nodes: Nodes, seal_key: bytes) -> None:
        """`seal_key` is the tokeniser's."""
        self._nodes = nodes
        self._chain = Chain(secrets.token_hex(6), seal_key)

    async def record(self, *records: AuditRecord, last: bool = False) -> None:
        """Write the records to the audit, and with `last` that nothing follows.

        Raises Unavailable where they may not be.
        """
        said = list(map(_now, records))
        if last:
            said.append(_now(ChainClosed(self._chain.seqs)))
        await self._write({HOME: said})

    async def record_about(self, about: Iterable[tuple[bytes, AuditRecord]]) -> None:
        """The same for records about people, each behind the token of its person."""
        by_partition: dict[int, list[Written]] = {}
        for token, record in about:
            by_partition.setdefault(token[1], []).append(_now(record))
        await self._write(by_partition)

    async def close(self) -> None:
        """Write that nothing follows, where anything was said."""
        if self._chain.head.blocks:
            await self.record(last=True)

    @property
    def stated(self) -> str:
        """How far the chain has come, as the service's log says it; empty where nothing was said.

        Who keeps it elsewhere can tell later that the chain is gone.
        """
        blocks, head, at_ms = self._chain.head
        if not blocks:
            return ""
        sealed_at = format_ms(at_ms)
        line = {"process": self._chain.process, "blocks": blocks, "head": head}
        return json.dumps({**line, "sealed_at": sealed_at, "event": "audit"})

    async def _write(self, said: Mapping[int, list[Written]]) -> None:
        now_ms = time.time_ns() // 1_000_000
        left = [
            Sealed(partition, self._chain.seal(partition, records, now_ms), now_ms)
            for partition, records in said.items()
            if records
        ]
        for _ in range(TRIES):
            left = await write(self._nodes, left) if left else []
        if left:
            raise Unavailable("Redis did not take it")


def log_line(line: str) -> None:
    """Say it on standard error, where that goes to a log; a terminal keeps nothing."""
    if line and not sys.stderr.isatty():
        sys.stderr.write(f"{line}\n")


def who() -> str:
    """The user, and on which host."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user has no name; OSError: Python 3.13
        user = "somebody"
    return f"{user}@{socket.gethostname()}"[:_LONGEST_NAME]


def _now(record: AuditRecord) -> Written:
    return written(time.time_ns() // 1_000_000, record)
