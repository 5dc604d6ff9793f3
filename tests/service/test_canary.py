from __future__ import annotations

from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING

from roster.documents.identity import Document, normalise
from roster.storage.histories import histories
from service.background.canary import NUMBER
from tests.service.rosters import desk

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers import Server

ROUNDS = 8


def test_no_check_digit_admits_the_canary() -> None:
    assert not normalise(Document(type="resident_id", number=NUMBER)).valid


async def test_the_canary_goes_the_public_way_and_is_counted_nowhere(
    valkey: Server, tmp_path: Path
) -> None:
    async with desk(valkey, tmp_path) as api:
        canary = api.service.canary
        rounds = canary.rounds
        await canary.probe()
        assert canary.rounds > rounds
        assert canary.failures == 0
        assert canary.lag_ms is not None
        assert sum(api.service.counters.decisions.values()) == 0
        told = (await api.client.get("/v1/roster")).json()
        assert (told["people"], told["entries"]["removed"]) == (0, 0)
        assert set(told["digest"]) == {"0"}
        changes = (await api.client.get("/v1/changes")).json()["changes"]
        assert {change["op"] for change in changes} == {"reset"}


async def test_a_canary_that_dies_is_told(valkey: Server, tmp_path: Path) -> None:
    async with desk(valkey, tmp_path) as api:
        canary = api.service.canary
        api.service.applier.wait = api.service.applier.wait._replace(replicas=1, timeout_ms=20)
        await canary.probe()
        assert canary.failures == 1
        metrics = (await api.client.get("/metrics")).text
        assert "clearway_canary_failures_total 1" in metrics


async def test_nobody_else_may_edit_the_canarys_list(valkey: Server, tmp_path: Path) -> None:
    async with desk(valkey, tmp_path) as api:
        document = {"type": "resident_id", "number": NUMBER}
        change = {"op": "remove", "list": "canary", "entry_id": "canary", "document": document}
        (result,) = (await api.change(change))["results"]
        assert result["outcome"] == "rejected"


async def test_the_canary_costs_2_kb_of_log_a_round_and_leaves_no_history(
    valkey: Server, tmp_path: Path
) -> None:
    async with desk(valkey, tmp_path) as api:
        canary = api.service.canary
        with valkey.client() as link:
            sizes = []
            for _ in range(30):
                await canary.probe()
                sizes.append(int(link.info("persistence")["aof_current_size"]))
        assert canary.failures == 0
        # Other chores write, too, and more where a round takes long: medians leave that out.
        rounds = [after - before for before, after in pairwise(sizes)]
        first, last = median(rounds[:ROUNDS]), median(rounds[-ROUNDS:])
        assert last < 2_000
        assert last < 1.2 * first
        token = api.service.counters.canary
        assert token is not None
        assert await histories(api.service.store, [token]) == [[]]


async def test_the_canary_does_not_wear_out_the_images(valkey: Server, tmp_path: Path) -> None:
    async with desk(valkey, tmp_path) as api:
        canary = api.service.canary
        for _ in range(5):
            await canary.probe()
        assert canary.failures == 0
        await api.service.follower.poll()
        token = api.service.counters.canary
        assert token is not None
        assert 1 <= api.service.screener.partitions[token[1]].changes < 3
