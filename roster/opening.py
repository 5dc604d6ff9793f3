"""The roster that the settings name: its Redis, embedded where none is named, and its ID key."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Self

from roster.documents.tokeniser import UNKNOWN, Tokeniser
from roster.embedded.embedded import Embedded, EmbeddedOptions, acquire
from roster.errors import Unavailable
from roster.id_key import read_or_make
from roster.redis.calls import Wait
from roster.redis.connection import (
    change_client,
    check_client,
    follow_client,
    translated,
    where,
)
from roster.redis.discovery import Discovery
from roster.redis.nodes import FIND_S, Nodes, open_nodes
from roster.redis.requirements import ServerFacts, require_version, server_facts
from roster.redis.target import Target, parse_target
from roster.storage.founding import agree_on_scheme

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    import redis.asyncio

    from roster.redis.slots import Address
    from roster.settings import Settings

SAFE_TIMEOUT_MS = 2_000
"""How long a change may take to be safe: the default of `timeout_ms` in requests."""


class Opening:
    """A roster's place; close it, or use it in `with`: an embedded server may end then."""

    def __init__(self, settings: Settings) -> None:
        """Start the embedded server where one is needed; raises EmbeddedError, SettingsError."""
        self.settings = settings
        self.embedded: Embedded | None = None
        target = settings.target
        if target is None:
            options = EmbeddedOptions(settings.data_dir, settings.redis_server)
            self.embedded = acquire(options)
            target = parse_target(self.embedded.url)
        self.target: Target = target
        self._discovery = Discovery(target) if target.replicated else None
        self.redis_errors: Counter[str] = Counter()
        """By their codes, of all who ask for checks, changes, polls."""

    @property
    def servers(self) -> tuple[str, ...]:
        """The addresses of the primaries that are known; none where there is only one server."""
        known = self._discovery.map if self._discovery is not None else None
        return tuple(sorted(f"{host}:{port}" for host, port in known.servers)) if known else ()

    @property
    def place(self) -> str:
        """Which roster it is, for people: the embedded server's folder, or the address."""
        if self.embedded is not None:
            return f"the embedded server of {self.settings.data_dir.expanduser()}"
        return repr(self.target).strip("<>")

    def id_key(self) -> bytes:
        """The ID key's 32 bytes; raises SettingsError."""
        return read_or_make(self.settings, embedded=self.embedded is not None)

    async def tokeniser(self, nodes: Nodes) -> Tokeniser:
        """The ID key's, for this roster's tokens; raises SettingsError, Unavailable, WrongKey."""
        tokeniser = Tokeniser(self.id_key(), UNKNOWN)
        await agree_on_scheme(tokeniser, nodes)
        return tokeniser

    def check_nodes(self) -> Nodes:
        """The servers, for checks: who is silent for `CLEARWAY_REDIS_TIMEOUT_MS` has failed."""
        timeout_ms = self.settings.redis_timeout_ms

        def client(target: Target, at: Address | None) -> redis.asyncio.Redis:
            return check_client(target, timeout_ms, at)

        return self._nodes(client, timeout_ms / 1000)

    def follow_nodes(self) -> Nodes:
        """The servers, for polls and the doorbell."""
        return self._nodes(follow_client)

    def change_nodes(self) -> Nodes:
        """The servers, for changes, which wait until they are safe."""
        return self._nodes(change_client)

    def _nodes(
        self,
        client: Callable[[Target, Address | None], redis.asyncio.Redis],
        find_s: float = FIND_S,
    ) -> Nodes:
        return open_nodes(self.target, client, self._discovery, find_s, self.redis_errors)

    @asynccontextmanager
    async def changing(self) -> AsyncIterator[Nodes]:
        """The servers for changes, closed with the block."""
        nodes = self.change_nodes()
        try:
            yield nodes
        finally:
            await nodes.close()

    async def reach(self) -> None:
        """Ask every server for an answer. Raises Unavailable within seconds, with who gives none.

        For those who would otherwise wait as long as a whole file may take.
        """
        async with self.changing() as nodes:
            answers = await _answers(nodes)
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer

    async def facts(self, nodes: Nodes) -> list[ServerFacts]:
        """What every server that answers is like; ServerUnfit where one is too old.

        Raises Unavailable where none answers. Where a provider refuses CONFIG, its settings are
        not known.
        """
        answers = await _answers(nodes)
        failed = [each for each in answers if isinstance(each, BaseException)]
        lasting = [each for each in failed if not isinstance(each, Unavailable)]
        if lasting or len(failed) == len(answers):
            raise [*lasting, *failed][0]
        return [each for each in answers if isinstance(each, ServerFacts)]

    def wait(self, facts: list[ServerFacts], timeout_ms: int = SAFE_TIMEOUT_MS) -> Wait:
        """What makes a change safe on servers that are like this."""
        aof = bool(facts) and all(each.waitaof and each.aof for each in facts)
        return Wait(aof, self.settings.replicas, timeout_ms)

    def close(self) -> None:
        """Give the share of an embedded server up."""
        if self.embedded is not None:
            self.embedded.close()

    def __enter__(self) -> Self:
        """The opening itself."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Close it."""
        self.close()


async def _answers(nodes: Nodes) -> list[ServerFacts | BaseException]:
    """What every server is like, or the error that became of asking it; all at once."""
    asked = map(_facts, await nodes.masters())
    return await asyncio.gather(*asked, return_exceptions=True)


async def _facts(node: redis.asyncio.Redis) -> ServerFacts:
    names = ("appendfsync", "hash-max-listpack-*", "min-replicas-*", "cluster-require-*")
    with translated(node):
        async with node.pipeline(transaction=False) as pipe:
            pipe.info()
            pipe.config_get(*names)
            info, config = await pipe.execute(raise_on_error=False)
    if isinstance(info, Exception):
        with translated(node):
            raise info
    facts = server_facts(info, config if isinstance(config, dict) else {}, where(node))
    require_version(facts)
    return facts
