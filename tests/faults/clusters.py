"""Clusters and Sentinels on loopback, made without redis-cli; each ends what it started."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from contextlib import ExitStack, contextmanager
from itertools import cycle
from pathlib import Path
from shutil import rmtree
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

import pytest
import redis
import redis.asyncio
from redis.backoff import NoBackoff
from redis.retry import Retry

from roster.redis.connection import change_client, check_client
from roster.redis.nodes import Nodes, open_nodes
from roster.redis.target import parse_target
from tests.faults.world import Cut
from tests.servers import DEADLINE_S, Server, eventually, free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from roster.redis.slots import Address
    from roster.redis.target import Target

HOST = "127.0.0.1"
NODE_TIMEOUT_MS = 1_000
SILENT_S = 1.0
SLOTS = 16_384
MASTERS = 3
SERVICE = "roster"
QUICK = {
    "bind": HOST,
    "repl-diskless-sync-delay": "0",
    "repl-ping-replica-period": "1",
}
SAFE = {"min-replicas-to-write": "1", "min-replicas-max-lag": "2"}
"""A primary that is cut off from its replicas refuses everything, also to be asked."""


def plain(port: int, timeout_s: float = 5) -> redis.Redis:
    """A blocking client of one port that never tries again."""
    return redis.Redis(
        host=HOST, port=port, protocol=2, socket_timeout=timeout_s, retry=Retry(NoBackoff(), 0)
    )


def nodes_of(url: str, timeout_ms: int | None = None) -> Nodes:
    """The servers behind a URL as the service sees them: for changes, or for checks."""
    if timeout_ms is None:
        return open_nodes(parse_target(url), change_client)

    def client(target: Target, at: Address | None) -> redis.asyncio.Redis:
        return check_client(target, timeout_ms, at)

    return open_nodes(parse_target(url), client)


class Member:
    """One server of a cluster, on a port of its own."""

    cut: Cut | None = None
    """The proxy by which everybody else reaches it, where there is one."""

    def __init__(self, binary: str, folder: Path, settings: dict[str, str]) -> None:
        self.port = free_port()
        self.server = Server(binary, folder, {**QUICK, "port": str(self.port), **settings})

    @property
    def announced(self) -> int:
        """The port by which everybody else reaches it."""
        return self.cut.port if self.cut else self.port

    def ask(self, *command: object) -> Any:  # noqa: ANN401 -- Redis' answer
        with self.server.client(timeout_s=5) as client:
            return client.execute_command(*command)

    @property
    def info(self) -> dict[str, str]:
        return dict(
            line.split(":", 1) for line in self._text("CLUSTER", "INFO").splitlines() if ":" in line
        )

    @property
    def replication(self) -> dict[str, Any]:
        with self.server.client(timeout_s=5) as client:
            return cast("dict[str, Any]", client.info("replication"))

    @property
    def id(self) -> str:
        return self._text("CLUSTER", "MYID")

    def owns(self, slot: int) -> bool:
        """Whether it says itself that it serves the slot."""
        mine = next(
            line for line in self._text("CLUSTER", "NODES").splitlines() if "myself" in line
        )
        ranges = [part for part in mine.split()[8:] if not part.startswith("[")]
        return any(
            int(first) <= slot <= int(last or first)
            for first, _, last in (part.partition("-") for part in ranges)
        )

    def _text(self, *command: str) -> str:
        reply = self.ask(*command)
        return reply.decode() if isinstance(reply, bytes) else str(reply)


class Cluster:
    """Three masters, each with a replica: `members[i + 3]` begins as that of `members[i]`."""

    def __init__(self, members: list[Member]) -> None:
        self.members = members
        self.url = "redis+cluster://" + ",".join(f"{HOST}:{m.port}" for m in members)

    def owner(self, slot: int) -> Member:
        """Who serves a slot now."""
        return next(
            member for member in self.members if member.server.running and member.owns(slot)
        )

    def settled_without(self, lost: Member) -> Callable[[], bool]:
        """Whether all others say that every slot is served, and by somebody else."""
        rest = [member for member in self.members if member is not lost]

        def settled() -> bool:
            lines = [m._text("CLUSTER", "NODES").splitlines() for m in rest]
            mine = [line for each in lines for line in each if f":{lost.port}@" in line]
            return all("fail" in line.split()[2].split(",") for line in mine) and all(
                member.info["cluster_state"] == "ok" and not line.split()[8:]
                for member in rest
                for line in mine
            )

        return settled

    def settled(self) -> bool:
        """Whether every running member says that all slots are served."""
        running = [member for member in self.members if member.server.running]
        return all(
            member.info["cluster_state"] == "ok"
            and int(member.info["cluster_slots_assigned"]) == SLOTS
            for member in running
        )

    def complete(self) -> bool:
        """Whether every replica is in step as well."""
        roles = [member.replication for member in self.members]
        replicas = [role for role in roles if role["role"] == "slave"]
        masters = [role for role in roles if role["role"] == "master"]
        return (
            self.settled()
            and len(replicas) == len(self.members) - MASTERS
            and all(role["master_link_status"] == "up" for role in replicas)
            and sum(role["connected_slaves"] for role in masters) == len(replicas)
        )

    @staticmethod
    def begin_to_move(slot: int, source: Member, target: Member) -> None:
        """The slot's keys may be in either from now on."""
        target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", source.id)
        source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", target.id)

    @staticmethod
    def move_keys(slot: int, source: Member, target: Member, limit: int = SLOTS) -> int:
        """How many of the slot's keys were left to move, `limit` of which have."""
        found = source.ask("CLUSTER", "GETKEYSINSLOT", slot, limit)
        for key in found:
            source.ask("MIGRATE", HOST, target.port, key, 0, 5_000)
        return len(found)

    def move(self, slot: int, source: Member, target: Member) -> None:
        """The slot, with all it holds, is the target's; clients go on meanwhile."""
        self.begin_to_move(slot, source, target)
        while self.move_keys(slot, source, target, limit=10):
            pass
        for member in (target, source, *self.members):
            if member.replication["role"] == "master":
                member.ask("CLUSTER", "SETSLOT", slot, "NODE", target.id)


@contextmanager
def folder() -> Iterator[Path]:
    """A folder whose path is short enough for sockets."""
    made = Path(tempfile.mkdtemp(prefix="cw-", dir="/tmp"))
    try:
        yield made
    finally:
        rmtree(made, ignore_errors=True)


def _start(stack: ExitStack, binary: str, settings: dict[str, str]) -> Member:
    member = Member(binary, stack.enter_context(folder()), settings)
    stack.callback(member.server.kill)
    member.server.start()
    return member


def _join(members: list[Member], ports: list[int]) -> None:
    for number, member in enumerate(members):
        member.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        if number < MASTERS:
            first, last = SLOTS * number // MASTERS, SLOTS * (number + 1) // MASTERS - 1
            member.ask("CLUSTER", "ADDSLOTSRANGE", first, last)
    for member, port in zip(members[1:], ports[1:], strict=True):
        members[0].ask("CLUSTER", "MEET", HOST, member.port, port)
    everybody = len(members)
    eventually(lambda: all(int(m.info["cluster_known_nodes"]) == everybody for m in members))
    for master, replica in zip(cycle(members[:MASTERS]), members[MASTERS:], strict=False):
        eventually(lambda r=replica, m=master: m.id in r._text("CLUSTER", "NODES"))  # type: ignore[misc]
        replica.ask("CLUSTER", "REPLICATE", master.id)


@contextmanager
def running_cluster(
    binary: str, settings: Mapping[str, str] = MappingProxyType({}), replicas: int = 1
) -> Iterator[Cluster]:
    """A cluster of three masters, each with so many replicas, that is complete."""
    with ExitStack() as stack:
        ports = [free_port() for _ in range((1 + replicas) * MASTERS)]
        members = [
            _start(
                stack,
                binary,
                {
                    "cluster-enabled": "yes",
                    "cluster-port": str(port),
                    "cluster-node-timeout": str(NODE_TIMEOUT_MS),
                    "cluster-replica-validity-factor": "0",
                    "cluster-require-full-coverage": "no",
                    **settings,
                },
            )
            for port in ports
        ]
        _join(members, ports)
        cluster = Cluster(members)
        eventually(cluster.complete)
        yield cluster


class Sentinels:
    """One primary, two replicas, and three sentinels that watch them."""

    def __init__(self, members: list[Member], sentinels: Mapping[int, int]) -> None:
        """`sentinels` are their processes, by port."""
        self.members = members
        self.pids = dict(sentinels)
        self.ports = ports = list(sentinels)
        self.url = f"redis+sentinel://{','.join(f'{HOST}:{p}' for p in ports)}/{SERVICE}"

    @property
    def primary(self) -> Member:
        """Whom most sentinels call the primary now."""
        said = [told for port in self.ports if (told := self.says(port))]
        port = max(set(said), key=said.count)
        return next(member for member in self.members if member.announced == port)

    def pause(self, port: int) -> None:
        """This sentinel says nothing more, as if its host had gone."""
        os.kill(self.pids[port], signal.SIGSTOP)

    def resume(self, port: int) -> None:
        """It goes on."""
        os.kill(self.pids[port], signal.SIGCONT)

    def complete(self, replicas: int = 2) -> bool:
        """Whether the sentinels know one another, and the primary so many replicas in step."""
        known = self.primary.replication
        lines = [value for name, value in known.items() if name.startswith("slave")]
        online = sum(isinstance(line, dict) and line.get("state") == "online" for line in lines)
        return (
            known["role"] == "master"
            and online >= replicas
            and all(self._knows(port, replicas) for port in self.ports)
        )

    @contextmanager
    def silent(self, number: int) -> Iterator[list[int]]:
        """One sentinel is stopped where it stands within; the ports of the others."""
        port = self.ports[number]
        self.pause(port)
        try:
            yield [other for other in self.ports if other != port]
        finally:
            self.resume(port)

    @staticmethod
    def says(port: int) -> int:
        """Whom this sentinel calls the primary; 0 where it is silent."""
        with plain(port, timeout_s=SILENT_S) as client:
            try:
                reply: Any = client.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)
            except redis.TimeoutError:
                return 0
            return int(reply[1])

    @staticmethod
    def _knows(port: int, replicas: int) -> bool:
        with plain(port) as client:
            flat: Any = client.execute_command("SENTINEL", "MASTER", SERVICE)
        said = dict(zip(flat[::2], flat[1::2], strict=True))
        return int(said[b"num-other-sentinels"]) == 2 and int(said[b"num-slaves"]) >= replicas


def _sentinel(
    stack: ExitStack, binary: str, primary: Member, down_after_ms: int
) -> tuple[int, int]:
    """Its port and its process."""
    place, port = stack.enter_context(folder()), free_port()
    config = place / "sentinel.conf"
    lines = [
        f"port {port}",
        f"bind {HOST}",
        f"dir {place}",
        f"logfile {place / 'sentinel.log'}",
        f"sentinel monitor {SERVICE} {HOST} {primary.announced} 2",
        f"sentinel down-after-milliseconds {SERVICE} {down_after_ms}",
        f"sentinel failover-timeout {SERVICE} 3000",
        f"sentinel parallel-syncs {SERVICE} 2",
    ]
    config.write_text("\n".join(lines) + "\n")
    process = subprocess.Popen(
        [binary, str(config), "--sentinel"],
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    stack.callback(_end, process)
    eventually(lambda: _answers(port))
    return port, process.pid


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.kill(process.pid, signal.SIGKILL)
    process.wait(DEADLINE_S)


def _answers(port: int) -> bool:
    with plain(port) as client:
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False


@contextmanager
def running_sentinels(
    binary: str,
    settings: Mapping[str, str] = MappingProxyType(SAFE),
    *,
    down_after_ms: int = NODE_TIMEOUT_MS,
    cuttable: bool = False,
) -> Iterator[Sentinels]:
    """Three servers and three sentinels, all of which know each other.

    Where they are `cuttable` all reach each other through proxies, which can part a server
    from its peers alone.
    """
    start = _start_behind_proxy if cuttable else _start
    with ExitStack() as stack:
        primary = start(stack, binary, dict(settings))
        of = {**settings, "replicaof": f"{HOST} {primary.announced}"}
        members = [primary, *(start(stack, binary, of) for _ in range(2))]
        found = dict(_sentinel(stack, binary, primary, down_after_ms) for _ in range(3))
        sentinels = Sentinels(members, found)
        eventually(sentinels.complete)
        yield sentinels


def _start_behind_proxy(stack: ExitStack, binary: str, settings: Mapping[str, str]) -> Member:
    member = Member(binary, stack.enter_context(folder()), dict(settings))
    member.cut = Cut(member.port)
    stack.callback(member.cut.close)
    member.server._settings |= {
        "replica-announce-ip": HOST,
        "replica-announce-port": str(member.announced),
    }
    stack.callback(member.server.kill)
    member.server.start()
    return member


@pytest.fixture
def cluster(valkey_binary: str) -> Iterator[Cluster]:
    with running_cluster(valkey_binary) as made:
        yield made


@pytest.fixture
def sentinels(valkey_binary: str) -> Iterator[Sentinels]:
    with running_sentinels(valkey_binary) as made:
        yield made
