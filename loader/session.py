"""The roster as a load sees it: its server, key and lists, and the one lease to load."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Self, TypeVar

from loader.manifest import public_key_of
from roster import keys
from roster.bulk import bulk_nodes, ease, rewrite
from roster.dictionary import Dictionary
from roster.errors import ClearwayError, LoadRefused
from roster.identity import Tokeniser
from roster.lease import Lease
from roster.lists import load_lists
from roster.nodes import Wait
from roster.opening import Opening
from roster.processes import Processes
from roster.settings import Settings
from roster.store import DAY_MS, Store

LEASE_MS = 30_000
_RENEW_S = 5.0
_SAFE_TIMEOUT_MS = 30_000

T = TypeVar("T")


class Session:
    """A roster that is open for whole files; a context manager."""

    def __init__(self, settings: Settings) -> None:
        """Opens it; raises SettingsError, ListsError or EmbeddedError."""
        self.settings = settings
        self.lists = load_lists(settings.lists_file)
        self.public_key = public_key_of(settings.signature_key_file)
        self.opening = Opening(settings)
        try:
            self.key = self.opening.id_key()
        except ClearwayError:
            self.opening.close()
            raise
        self._runner = asyncio.Runner()
        self._nodes = bulk_nodes(self.opening.target)
        check_value = Tokeniser(self.key).check_value
        self.store = Store(self._nodes, check_value, keep_ms=settings.audit_days * DAY_MS)
        self.dictionary = Dictionary(self._nodes)
        self._lease: Lease | None = None
        self._renewed_s = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(ClearwayError):  # the lease passes on by itself
            if self._lease is not None:
                self.run(self._lease.give_back())
        self.run(self._nodes.close())
        self._runner.close()
        self.opening.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """What the work gives."""
        return self._runner.run(work)

    def wait(self) -> Wait:
        """What makes something safe on these servers."""
        facts = self.run(self.opening.facts(self._nodes))
        return self.opening.wait(facts, _SAFE_TIMEOUT_MS)

    def take_lease(self) -> None:
        """Nothing; no other load runs now. Raises LoadRefused where one does."""
        lease = Lease(self._nodes, keys.LOAD, LEASE_MS)
        holder = self.run(lease.take())
        if holder is not None:
            raise LoadRefused(
                f"another load is under way (process {holder.pid} on {holder.host}); "
                f"if that one has died, this works {LEASE_MS // 1000} s after its death"
            )
        self._lease, self._renewed_s = lease, time.monotonic()

    def beat(self) -> None:
        """Nothing; a lease that is held is renewed in time. Raises LoadRefused if it is lost."""
        if self._lease is None or time.monotonic() - self._renewed_s < _RENEW_S:
            return
        if not self.run(self._lease.renew()):
            raise LoadRefused("the lease to load was lost: this process stood still for too long")
        self._renewed_s = time.monotonic()

    def ease(self) -> None:
        """Nothing; an embedded server is set for much writing."""
        if self.opening.embedded is not None:
            self.run(ease(self._nodes))

    def settle(self) -> None:
        """Nothing; all is safe, every process hears of it, an embedded server tidies up."""
        self.run(self.store.settle(self.wait()))
        self.run(Processes(self._nodes).ring([]))
        if self.opening.embedded is not None:
            self.run(rewrite(self._nodes))
