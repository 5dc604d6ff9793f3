"""The roster as a load sees it: its server, key and lists, and the one lease to load."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Collection, Coroutine, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any, Self, TypeVar

import click
from msgspec.structs import replace

from loader.jobs.guard import NOT_FROM_FILES
from loader.rows.packed_rows import Context
from loader.words.figures import NOT_AUDITED
from loader.words.sayings import SAYINGS
from roster import keys
from roster.embedded.server_settings import resume_log_rewrites, suspend_log_rewrites
from roster.errors import ClearwayError, LoadRefused, cause_of
from roster.id_key import public_key_of
from roster.opening import Opening
from roster.records.audited import FilesLoaded
from roster.records.position import HighWater, Position
from roster.records.replies import Tail
from roster.redis.calls import Wait
from roster.redis.connection import change_client
from roster.redis.nodes import bulk_nodes, open_nodes
from roster.rules.lists import load_lists
from roster.settings import Settings
from roster.speech.language import Phrase, say
from roster.storage.account import Account, log_line
from roster.storage.dictionary import Dictionary, Load
from roster.storage.high_water import add_marks, marks_file
from roster.storage.lease import HeartbeatLease
from roster.storage.processes import Processes
from roster.storage.snapshots import Snapshot
from roster.storage.store import Store
from roster.times import DAY_MS, boot_s

LEASE_MS = 30_000
_SAFE_TIMEOUT_MS = 30_000

T = TypeVar("T")
TAKEN_UP_S = 5.0
"""So long at most: one that was killed just now stays listed for four seconds."""
_LOOK_S = 0.02


class Session:
    """A roster that is open for whole files; a context manager."""

    def __init__(self, settings: Settings) -> None:
        """Opens it; raises what reading settings and opening a roster raise."""
        self.settings = settings
        self.lists = load_lists(settings.lists_file)
        self.public_key = public_key_of(settings.signature_key_file)
        self.opening = Opening(settings)
        self._runner = asyncio.Runner()
        self._nodes = bulk_nodes(self.opening.target)
        try:
            self._key = self.opening.id_key()
            self.run(self.opening.reach())
            tokeniser = self.run(self.opening.tokeniser(self._nodes))
        except BaseException:
            self._close()
            raise
        self.store = Store(self._nodes, tokeniser, keep_ms=settings.audit_days * DAY_MS)
        self.dictionary = Dictionary(self._nodes)
        self._processes = Processes(self._nodes)
        self.seal_key = tokeniser.seal_key
        self.account = Account(self._nodes, tokeniser.seal_key)
        self._lease: HeartbeatLease | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(ClearwayError):  # the lease passes on by itself
            if self._lease is not None:
                self._lease.close()
        with suppress(ClearwayError):  # the audit then does not say that nothing follows
            self.run(self.account.close())
            log_line(self.account.stated)
        self._close()

    def _close(self) -> None:
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
        """Keep other loads from running; raises LoadRefused where one does."""
        if self._lease is not None:
            return
        nodes = open_nodes(self.opening.target, change_client)
        self._lease = HeartbeatLease(nodes, keys.LOAD, LEASE_MS)
        holder = self._lease.take()
        if holder is not None:
            raise LoadRefused(
                f"another load is under way (process {holder.pid} on {holder.host}); "
                f"if that one has died, this works {LEASE_MS // 1000} s after its death"
            )

    def at_rest(self) -> AbstractContextManager[None]:
        """A context in which no thread of ours does anything: the process may be copied."""
        return nullcontext() if self._lease is None else self._lease.at_rest()

    @property
    def has_lost_lease(self) -> bool:
        """Whether a lease that was taken is not ours any more."""
        return self._lease is not None and not self._lease.held()

    def keep_lease(self) -> None:
        """Raise LoadRefused where a lease that was taken is lost."""
        if self.has_lost_lease:
            raise LoadRefused(
                "the lease to load was lost: this process stood still, or had no server, "
                f"for more than {LEASE_MS // 1000} s; the same command again completes it"
            )

    def context(self, as_of: int, now_ms: int) -> Context:
        """What rows are packed by, as of now."""
        self.run(self.dictionary.refresh())
        rules = [rule for rule in self.lists.all if rule.id not in NOT_FROM_FILES]
        return Context(
            key=self._key,
            scheme=self.store.scheme,
            codes={rule.id: rule.code for rule in rules},
            as_of=as_of,
            load=self.run(self.dictionary.next_load()),
            now_ms=now_ms,
            courts=dict(self.dictionary.courts),
        )

    def snapshot(self, codes: bytes, as_of: int) -> Snapshot:
        """A new one of these lists, as of then."""
        return Snapshot(codes, as_of, secrets.token_hex(8), self.settings.tombstone_days * DAY_MS)

    def intern(self, courts: Iterable[str]) -> None:
        """Write these courts into the dictionary, and wait until that is safe."""
        self.run(self.dictionary.intern([court for court in courts if court], self.wait()))

    def open_load(self, number: int, load: Load) -> None:
        """Give the load its number, which its rows refer to already."""
        self.keep_lease()
        if self.opening.embedded is not None:
            self.run(suspend_log_rewrites(self._nodes))
        if self.run(self.dictionary.open_load(load)) != number:
            raise LoadRefused("another load has begun meanwhile; nothing of this one was merged")
        self._say(number, load, "begun")

    def close_load(self, number: int, load: Load) -> int:
        """How many processes have not taken it up in time; all is safe, every one hears of it.

        An embedded server tidies up.
        """
        self.keep_lease()
        done = replace(load, applied_at_ms=time.time_ns() // 1_000_000)
        self.run(self.dictionary.write_load(number, done))
        self._say(number, done, "completed")
        behind = self._behind(self.publish())
        if self.opening.embedded is not None:
            self.run(resume_log_rewrites(self._nodes))
        return behind

    def warn(self, what: Phrase, exc: ClearwayError) -> None:
        """Say on standard error what of a load that goes on did not work, and why."""
        click.echo(say(what, why=SAYINGS.spoken(cause_of(exc))), err=True)

    def _say(self, number: int, load: Load, stage: str) -> None:
        """Tell the audit of a load that is `begun` or `completed`."""
        files = tuple((file.name, file.sha256) for file in load.files)
        what, lists = load.kind or "load", load.lists
        whole = (number, lists, load.as_of, files, load.did, load.undoes)
        try:
            self.run(self.account.record(FilesLoaded(load.who, what, stage, *whole)))
        except ClearwayError as exc:
            self.warn(NOT_AUDITED, exc)

    def publish(self) -> list[Position]:
        """The logs' ends; what was written up to there is safe, and every process hears of it."""
        tails = self.run(self.store.tails(dict.fromkeys(range(keys.PARTITIONS)), {}, 1))
        self.run(self.store.settle(self.wait()))
        self._tell(tails.values())
        return [tail.position for tail in tails.values()]

    def _behind(self, positions: list[Position]) -> int:
        with suppress(ClearwayError):  # all is safe, and every process has heard of it
            return self.run(late(self._processes, positions))
        return 0

    def _tell(self, tails: Collection[Tail]) -> None:
        """Mark this safe; whoever follows, or starts on this folder, knows it."""
        positions = [tail.position for tail in tails]
        self.run(self.store.acknowledge(positions))
        self.run(self._processes.ring(positions, wanted=True))
        path = marks_file(self.settings.data_dir, self.store.check_value, self.store.roster_id.id)
        with suppress(OSError):  # whoever has no such folder is told by the service
            add_marks(path, [_mark(tail) for tail in tails])


def _mark(tail: Tail) -> HighWater:
    return HighWater(tail.position, tail.now_ms, tail.roster, bytes(sorted(tail.covered)))


async def late(processes: Processes, positions: Sequence[Position]) -> int:
    """How many live processes had not applied all of it when the time was up."""
    until_s = boot_s() + TAKEN_UP_S
    while True:
        behind = [
            process
            for process in await processes.live()
            if not all(process.at(each.partition).includes(each) for each in positions)
        ]
        if not behind or boot_s() > until_s:
            return len(behind)
        await asyncio.sleep(_LOOK_S)


def uptake_notes(count: int) -> list[str]:
    """What a load says of so many processes that it has not waited for any longer."""
    if not count:
        return []
    who = "one process" if count == 1 else f"{count} processes"
    return [f"{who} of the service had not taken it up after {TAKEN_UP_S:.0f} s"]
