"""The faults of the soak before a cluster: masters fail, and slots move to other masters."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from roster.redis.calls import SLOTS
from tests.faults.history import Lost
from tests.faults.mischief import SHORT_S, Mischief
from tests.servers import eventually

if TYPE_CHECKING:
    from tests.faults.clients import Clients
    from tests.faults.clusters import Cluster, Member
    from tests.faults.mischief import Act, Fault

MOVE_S = 10.0


class Resharding(Mischief):
    """What can happen to a world before a cluster."""

    def __init__(self, clients: Clients, cluster: Cluster) -> None:
        super().__init__(clients)
        self.cluster = cluster

    def faults(self) -> list[Fault]:
        every: list[Fault] = [
            self.master_killed, self.master_stopped, self.replica_stopped, self.slot_moved,
            self.process_killed, self.process_stopped, self.loaded, self.crowd_loaded,
            self.old_file,
        ]  # fmt: skip
        return [*every, self.backlog] if self.backlog_people else every

    async def master_killed(self) -> None:
        await self._left(lambda old: old.server.kill(), lambda old: old.server.start())

    async def master_stopped(self) -> None:
        await self._left(lambda old: old.server.pause(), lambda old: old.server.resume())

    async def replica_stopped(self) -> None:
        """Nothing can be acknowledged in a third of the partitions, and all of it again."""
        replicas = [m for m in self.cluster.members if m.replication["role"] == "slave"]
        chosen = self.random.choice(replicas)
        chosen.server.pause()
        await self._quiet(SHORT_S)
        chosen.server.resume()
        await self._off(lambda: eventually(self.cluster.complete))

    async def slot_moved(self) -> None:
        """A partition goes to another master, key by key, while it is asked and changed."""
        slot = self.random.choice(SLOTS)
        source = self.cluster.owner(slot)
        masters = [m for m in self.cluster.members if m.replication["role"] == "master"]
        target = self.random.choice([member for member in masters if member is not source])
        await self._off(lambda: self.cluster.move(slot, source, target))
        await self._off(lambda: eventually(self.cluster.settled))

    async def _left(self, leave: Act, come_back: Act) -> None:
        """A master leaves, its replica takes over, and it comes back as a replica."""
        slot = self.random.choice(SLOTS)
        old, began = self.cluster.owner(slot), time.monotonic_ns()
        await self._off(lambda: leave(old))
        await self._off(lambda: eventually(lambda: self._left_to_another(slot, old)))
        await self._quiet(1.0)
        await self._off(lambda: come_back(old))
        await self._off(lambda: eventually(self.cluster.complete))
        self.history.add(Lost("failed over", began, time.monotonic_ns()))

    def _left_to_another(self, slot: int, old: Member) -> bool:
        others = [member for member in self.cluster.members if member is not old]
        return any(member.owns(slot) for member in others)
