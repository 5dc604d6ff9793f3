"""With the server's memory full, what frees memory and what stops harm works as ever."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from roster import keys
from roster.filter import TokenFilter
from roster.storage.api_keys import KeyStore, KeyTerms
from roster.storage.disabled import Disabled, DisabledLists
from roster.storage.lease import Lease
from roster.storage.processes import Process
from roster.storage.retention import purge_histories
from roster.storage.rewinds import accept
from tests.service.apps import bearer
from tests.service.rosters import LISTED, OTHER, PASSPORT, desk, edit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers import Server

THIRD = {"type": "passport", "number": "E87654321", "issuer": "CHN"}
BOUND = {"entry_id": "b", "documents": [OTHER, PASSPORT]}
LIFT = edit("put", 30, list="lift", entry={"until": "2099-01-01", "court": "新法院"})


@contextmanager
def full_memory(server: Server) -> Iterator[None]:
    """The server has no memory left meanwhile."""
    with server.client() as link:
        link.config_set("maxmemory", 1)
        try:
            yield
        finally:
            link.config_set("maxmemory", 0)


def reasons(answer: dict[str, list[dict[str, list[dict[str, str]]]]]) -> list[str]:
    """Why each change was rejected; empty for those that were not."""
    return ["".join(e["message"] for e in each.get("errors", [])) for each in answer["results"]]


async def test_in_one_request_removals_are_applied_and_additions_rejected_in_their_place(
    any_server: Server, tmp_path: Path
) -> None:
    async with desk(any_server, tmp_path) as api:
        listed = [edit("put"), edit("put", document=OTHER), edit("put", document=PASSPORT)]
        await api.change(*listed, {"op": "bind", "revision": 10, **BOUND}, wait="all")
        with full_memory(any_server):
            answer = await api.change(
                edit("put", 20, document=THIRD, entry={"court": "没见过的法院"}),
                edit("remove", 20),
                edit("put", 30),
                edit("suspend", 20, document=OTHER),
                edit("resume", 30, document=OTHER),
                {"op": "unbind", "revision": 20, **BOUND},
                {"op": "bind", "revision": 30, **BOUND},
                LIFT | {"document": PASSPORT},
                wait="all",
            )
        wanted = ["rejected", "applied"] * 3 + ["rejected", "applied"]
        assert [result["outcome"] for result in answer["results"]] == wanted
        assert [why.partition(":")[0] for why in reasons(answer)] == ["memory", ""] * 4
        assert answer["processes"]["missing"] == []
        for document in (LISTED, OTHER, PASSPORT, THIRD):
            assert (await api.check(document))["decision"] == "allow"


async def test_a_put_that_memory_refuses_frees_none_of_the_documents_that_it_replaces(
    valkey: Server, tmp_path: Path
) -> None:
    async with desk(valkey, tmp_path) as api:
        await api.change(edit("put"), wait="all")
        with full_memory(valkey):
            put = edit("put", 20, document=PASSPORT, replaces=[LISTED])
            assert await api.outcomes(put, edit("remove", document=OTHER)) == ["rejected", "unseen"]
        assert (await api.check(LISTED))["decision"] == "deny"
        assert await api.outcomes(put) == ["applied"]
        assert (await api.check(LISTED))["decision"] == "allow"


async def test_whoever_operates_it_can_do_everything_that_stops_harm(
    any_server: Server, tmp_path: Path
) -> None:
    async with desk(any_server, tmp_path) as api:
        nodes, wait = api.service.changes_store.nodes, api.service.applier.wait
        store, lists = KeyStore(nodes, wait), DisabledLists(nodes, wait)
        key, _ = await store.create(KeyTerms(name="k", scopes=("check",)), 1)
        with full_memory(any_server):
            _, text = await store.rotate(key.id)
            answer = await api.client.get("/v1/roster", headers=bearer(text))
            assert answer.status_code == 403
            await store.revoke(key.id, 2)
            await store.create(KeyTerms(name="l", scopes=("check",)), 1)
            await lists.disable("sx", Disabled("wrong file", 1))
            assert await lists.enable("sx")
            assert (await api.client.get("/v1/roster")).status_code == 200
            assert (await api.client.get("/readyz")).status_code == 200
            assert await accept(api.service.changes_store) == 0
            await api.service.processes.announce(Process("P", "h", 3000, bytes(896)))
            await api.service.processes.ring([])
            lease = Lease(nodes, keys.LOAD, 1_000)
            assert await lease.take() is None
            assert await lease.renew()
            await lease.give_back()


async def test_what_frees_memory_works(any_server: Server, tmp_path: Path) -> None:
    async with desk(any_server, tmp_path) as api:
        await api.change(*(edit("put", revision) for revision in range(10, 15)), wait="all")
        store = api.service.changes_store
        with any_server.client() as link:
            (partition,) = [p for p in range(64) if link.xlen(keys.LOG[p]) > 1]
        with full_memory(any_server):
            here = (await store.tails({partition: None}, {}))[partition].position
            assert await store.set_image(here, TokenFilter().to_bytes(), here.seq)
            await purge_histories(store, partition, range(keys.BUCKETS), 2**48 - 1)
            await store.settle(api.service.applier.wait)
        with any_server.client() as link:
            assert link.xlen(keys.LOG[partition]) == 1
            assert not link.keys(f"clearway:{{{partition:02d}}}:h:*")


async def test_rewound_partitions_are_accepted(valkey: Server, tmp_path: Path) -> None:
    async with desk(valkey, tmp_path) as api:
        store = api.service.changes_store
        here = (await store.tails({7: None}, {}))[7].position
        await store.tails({7: None}, {7: here._replace(history=here.history + 10**6)})
        with full_memory(valkey):
            assert await accept(store) == 1
